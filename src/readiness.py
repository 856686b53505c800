"""Builds each service once, all of them in one load in the background, and says how far the load is.

The first `/chat` starts it, or the page does. Callers wait for it up to a limit. A failed load is not kept: after
`RETRY_AFTER_S` the next caller starts a new one, so that a repair takes effect without a restart.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import _lru_cache_wrapper, lru_cache, partial, update_wrapper
from threading import Event, Lock, Thread
from typing import Generic, Literal, TypeVar

from src.config import Config
from src.errors import ArtifactError, NoThreads, RagError, ServiceUnavailable

T = TypeVar("T")
Phase = Literal["cold", "loading", "ready", "failed"]
RETRY_AFTER_S = 5
# Chroma's engine starts one for each CPU, and four to six for its files.
LIBRARY_THREADS = (os.cpu_count() or 1) + 6

logger = logging.getLogger(__name__)


class BuildOnce(Generic[T]):
    """`lru_cache` made single-flight for each `Config`: cold callers meet at a lock, one builds, a failure is not kept.

    Each getter has locks of its own, so that nothing quick (`/ready`, `/documents`) waits for what is slow to build.
    The getters call one another in one direction only.
    """

    def __init__(self, build: Callable[[Config], T]) -> None:
        self._build = build
        self._lock = Lock()
        self._caches: dict[Config, tuple[_lru_cache_wrapper[T], Lock]] = {}
        self._built: dict[Config, T] = {}  # what `peek` sees while a lock is held
        update_wrapper(self, build)

    def __call__(self, config: Config) -> T:
        """Return the service, building it if this is the first call."""
        cache, lock = self._cache_of(config)
        with lock:
            built = self._built[config] = cache()
            return built

    def peek(self, config: Config) -> T | None:
        """Return the service if it is in memory; None if it is not, without building it or waiting for it."""
        return self._built.get(config)

    def clear(self, config: Config) -> None:
        """Forget the service; the next call builds it again."""
        cache, lock = self._cache_of(config)
        with lock:
            cache.cache_clear()
            self._built.pop(config, None)

    def _cache_of(self, config: Config) -> tuple[_lru_cache_wrapper[T], Lock]:
        cached = self._caches.get(config)
        if cached is None:
            with self._lock:
                fresh = lru_cache(maxsize=1)(partial(self._build, config)), Lock()
                cached = self._caches.setdefault(config, fresh)
        return cached


def require_threads() -> None:
    """Refuse to go on where the system does not give the threads that the libraries start: they would hang or crash.

    Raises:
        NoThreads: it does not.
    """
    all_run = Event()
    threads = [Thread(target=all_run.wait) for _ in range(LIBRARY_THREADS)]
    try:
        for thread in threads:
            thread.start()
    except RuntimeError as exc:
        raise NoThreads from exc
    finally:
        all_run.set()
    for thread in threads:
        thread.join()


class Readiness:
    """The one load of the services and its phase.

    Args:
        load: builds all that the first question needs; it runs in a thread of its own.
    """

    def __init__(self, load: Callable[[], None]) -> None:
        self._load = load
        self._lock = Lock()
        self._future: Future[None] | None = None
        self._finished_at = 0.0

    @property
    def phase(self) -> Phase:
        """Say how far the load is, without starting it."""
        future = self._future
        if future is None:
            return "cold"
        if not future.done():
            return "loading"
        return "ready" if future.exception() is None else "failed"

    @property
    def error(self) -> str | None:
        """Say in words for the caller why the last load failed; None if it did not."""
        future = self._future
        exc = future.exception() if future is not None and future.done() else None
        return None if exc is None else _in_words(exc)

    def start(self) -> Future[None]:
        """Start the load unless it is running, done, or failed a moment ago."""
        with self._lock:
            failed = self.phase == "failed" and time.monotonic() - self._finished_at > RETRY_AFTER_S
            if self._future is None or failed:
                executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="load")
                try:
                    self._future = executor.submit(self._load)
                except RuntimeError as exc:
                    raise NoThreads from exc
                self._future.add_done_callback(self._note_end)
                executor.shutdown(wait=False)
            return self._future

    def wait(self, limit_s: float) -> None:
        """Start the load unless it runs, and wait until the services are there.

        Raises:
            ServiceUnavailable: not within `limit_s` seconds, or they cannot be loaded; `str()` says which.
        """
        future = self.start()
        try:
            problem = future.exception(timeout=limit_s)
        except FutureTimeoutError as exc:
            message = "The service is still starting up. Ask again in a few seconds."
            raise ServiceUnavailable(message, retry_after_s=RETRY_AFTER_S, code="warming_up") from exc
        if isinstance(problem, ServiceUnavailable):
            raise problem
        if problem is not None:
            code = "index_unusable" if isinstance(problem, ArtifactError) else "services_unusable"
            raise ServiceUnavailable(_in_words(problem), retry_after_s=60, code=code) from problem

    def reset(self) -> None:
        """Forget the load, because the services were unloaded; the next caller starts it again."""
        with self._lock:
            if self._future is not None and self._future.done():
                self._future = None

    def _note_end(self, future: Future[None]) -> None:
        self._finished_at = time.monotonic()
        exc = future.exception()
        if isinstance(exc, RagError):
            logger.error("Load failed: %s", exc)
        elif exc is not None:
            logger.error("Load failed", exc_info=exc)


def _in_words(problem: BaseException) -> str:
    """Say for the caller why a load failed."""
    return str(problem) if isinstance(problem, RagError) else "The services could not be loaded; the log says why."
