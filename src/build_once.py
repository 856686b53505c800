"""A getter that builds its service once for each `Config`, however many callers meet cold."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from threading import Lock
from typing import Generic, TypeVar

from src.config import Config

T = TypeVar("T")


class BuildOnce(Generic[T]):
    """A cache that is single-flight for each `Config`: cold callers meet at a lock, one builds, a failure is not kept.

    Each getter has locks of its own, so that nothing quick (`/ready`, `/documents`) waits for what is slow to build.
    The getters call one another in one direction only.
    """

    def __init__(self, build: Callable[[Config], T]) -> None:
        self._build = build
        self._built: dict[Config, T] = {}
        self._locks: dict[Config, Lock] = {}
        update_wrapper(self, build)

    def __call__(self, config: Config) -> T:
        """Return the service, building it if this is the first call."""
        with self._lock_of(config):
            if config not in self._built:
                self._built[config] = self._build(config)
            return self._built[config]

    def peek(self, config: Config) -> T | None:
        """Return the service if it is in memory; None if it is not, without building it or waiting for it."""
        return self._built.get(config)

    def clear(self, config: Config) -> None:
        """Forget the service; the next call builds it again."""
        with self._lock_of(config):
            self._built.pop(config, None)

    def _lock_of(self, config: Config) -> Lock:
        return self._locks.setdefault(config, Lock())
