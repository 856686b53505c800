"""A getter that builds its service once for each `Config`, however many callers meet cold."""

from __future__ import annotations

from collections.abc import Callable
from functools import _lru_cache_wrapper, lru_cache, partial, update_wrapper
from threading import Lock
from typing import Generic, TypeVar

from src.config import Config

T = TypeVar("T")


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
