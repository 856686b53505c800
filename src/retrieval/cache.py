"""Results of earlier searches: a question asked again costs neither model nor search."""

from dataclasses import dataclass
from threading import Lock
from typing import Any

from src.records import Chunk, Filters, Retrieval, RetrievalKind

MAX_BYTES = 20 * 2**20
# Objects, spans and dictionary slots around a chunk's texts, measured with tracemalloc on the sample handbook.
CHUNK_OVERHEAD_BYTES = 2500
# query, limit, offset, filters, kind, joined
SearchKey = tuple[str, int, int, Filters, RetrievalKind, bool]


@dataclass(frozen=True, slots=True)
class CacheStats:
    """How well the cache does; `megabytes` is of 2**20 bytes, as estimated."""

    hits: int
    misses: int
    entries: int
    megabytes: float


class ResultCache:
    """Keeps results up to `MAX_BYTES`, safe for many threads; what was used longest ago goes first."""

    def __init__(self) -> None:
        from cachetools import LRUCache

        self._values: Any = LRUCache(MAX_BYTES, getsizeof=_count_bytes)
        self._lock = Lock()
        self._hits = self._misses = 0

    def get(self, key: SearchKey) -> Retrieval | None:
        """Return the result, or None; either is counted."""
        with self._lock:
            found: Retrieval | None = self._values.get(key)
            if found is None:
                self._misses += 1
            else:
                self._hits += 1
            return found

    def put(self, key: SearchKey, found: Retrieval) -> None:
        """Keep a result, letting older ones go."""
        with self._lock:
            self._values[key] = found

    def clear(self) -> None:
        """Let everything go; the counts stay."""
        with self._lock:
            self._values.clear()

    def stats(self) -> CacheStats:
        """Return the counts so far."""
        with self._lock:
            return CacheStats(self._hits, self._misses, len(self._values), self._values.currsize / 2**20)


def _count_bytes(found: Retrieval) -> int:
    return 4000 + sum(_count_chunk_bytes(hit.chunk) for hit in found.hits)


def _count_chunk_bytes(chunk: Chunk) -> int:
    # Python holds a text in 1, 2 or 4 bytes a character; 4 is the worst.
    return CHUNK_OVERHEAD_BYTES + 4 * (len(chunk.text) + len(chunk.title) + len(chunk.section))
