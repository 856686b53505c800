"""A cache that is bounded by bytes: what was used longest ago goes first."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class CacheStats:
    """How well a cache does; `megabytes` is of 2**20 bytes, as `measure` estimates them."""

    hits: int
    misses: int
    entries: int
    megabytes: float


class ByteCache(Generic[K, V]):
    """Keeps values by key, safe for many threads.

    Args:
        max_bytes: what all values may hold together; a value that is larger alone is not kept.
        measure: a value's bytes.
    """

    def __init__(self, max_bytes: int, measure: Callable[[V], int]) -> None:
        from cachetools import LRUCache

        self._values: Any = LRUCache(max_bytes, getsizeof=measure)
        self._lock = Lock()
        self._hits = self._misses = 0

    def get(self, key: K) -> V | None:
        """Return the value, or None; either is counted."""
        with self._lock:
            value: V | None = self._values.get(key)
            if value is None:
                self._misses += 1
            else:
                self._hits += 1
            return value

    def put(self, key: K, value: V) -> None:
        """Keep a value, letting older ones go."""
        with self._lock:
            if self._values.getsizeof(value) <= self._values.maxsize:
                self._values[key] = value

    def newest(self, max_bytes: int) -> list[tuple[K, V]]:
        """Copy what was used last, as much as `max_bytes` hold, in the order of its use."""
        with self._lock:
            # Only taking out tells the order of use.
            items: list[tuple[K, V]] = [self._values.popitem() for _ in range(len(self._values))]
            self._values.update(items)
            sizes = [self._values.getsizeof(value) for _, value in items]
        while sum(sizes) > max_bytes:
            del sizes[0], items[0]
        return items

    def clear(self) -> None:
        """Let everything go; the counts stay."""
        with self._lock:
            self._values.clear()

    def stats(self) -> CacheStats:
        """Return the counts so far."""
        with self._lock:
            return CacheStats(self._hits, self._misses, len(self._values), self._values.currsize / 2**20)
