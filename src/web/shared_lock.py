"""A lock among the threads of all workers; made before they are forked, which inherit it."""

import fcntl
import os
import tempfile
import weakref
from threading import Lock


class SharedLock:
    """Held in a `with`; the kernel frees it when its holder is killed."""

    def __init__(self) -> None:
        self._threads = Lock()
        self._file = _open_nameless_file()
        weakref.finalize(self, os.close, self._file)

    def __enter__(self) -> None:
        self._threads.acquire()
        fcntl.lockf(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN)
        self._threads.release()


def _open_nameless_file() -> int:
    """Open a file in memory; where the system has none, one on the scratch disk."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("shared-lock")
    descriptor, name = tempfile.mkstemp()
    os.unlink(name)  # noqa: PTH108
    return descriptor
