"""A pool of threads that survives a limit of threads or processes."""

from concurrent.futures import ThreadPoolExecutor


class Pool(ThreadPoolExecutor):
    """Goes on with the threads it has where the system gives no more."""

    def _adjust_thread_count(self) -> None:
        try:
            super()._adjust_thread_count()
        except RuntimeError:
            if not self._threads:
                raise
