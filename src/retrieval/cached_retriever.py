"""Retrieval that remembers: a question asked again costs neither model nor search.

Two caches of 25 MB together: embeddings by text, results by the whole search. Both belong to one index; its fingerprint
is in the keys, so that another index never answers from them. The newest results pass from a worker to its successor:
a worker of 50 chats would else find each question new.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from src.records import Chunk, Filters, Retrieval, RetrievalKind
from src.retrieval.byte_cache import ByteCache, CacheStats
from src.retrieval.retriever import Encoder, Retriever

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EMBEDDING_BYTES = 5 * 2**20
RESULT_BYTES = 20 * 2**20
# About 140 results: 0.8 MB written, 6 ms to write and 5 ms to read.
CARRIED_BYTES = 4 * 2**20
# Objects, spans and dictionary slots around a chunk's texts, measured with tracemalloc on the sample handbook.
CHUNK_OVERHEAD_BYTES = 2500
_NO_FILTERS = Filters()

SearchKey = tuple[str, str, int, int, Filters, RetrievalKind, bool]


class CachedEncoder:
    """Remembers the embeddings of single texts, which is what questions are."""

    def __init__(self, get_encoder: Callable[[], Encoder], fingerprint: str) -> None:
        self._get_encoder = get_encoder
        self._fingerprint = fingerprint
        self.cache: ByteCache[tuple[str, str], NDArray[np.float32]] = ByteCache(
            EMBEDDING_BYTES, lambda rows: int(rows.nbytes) + 300
        )

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (texts, dimension) float32, rows of norm 1."""
        if len(texts) != 1:
            return self._get_encoder().embed(texts)
        key = (self._fingerprint, texts[0])
        rows = self.cache.get(key)
        if rows is None:
            rows = self._get_encoder().embed(texts)
            rows.flags.writeable = False
            self.cache.put(key, rows)
        return rows


class CachedRetriever:
    """A retriever whose results are remembered.

    Args:
        fingerprint: of the index that `retriever` searches.
    """

    def __init__(self, retriever: Retriever, encoder: CachedEncoder, fingerprint: str) -> None:
        self._retriever = retriever
        self._encoder = encoder
        self._fingerprint = fingerprint
        self._results: ByteCache[SearchKey, Retrieval] = ByteCache(RESULT_BYTES, _result_bytes)

    def search(
        self,
        query: str,
        *,
        limit: int,
        offset: int = 0,
        filters: Filters = _NO_FILTERS,
        kind: RetrievalKind = "hybrid",
        joined: bool = False,
    ) -> Retrieval:
        """Return `limit` hits after the first `offset`, as `Retriever.search` does."""
        started = time.perf_counter()
        key = (self._fingerprint, query, limit, offset, filters, kind, joined)
        found = self._results.get(key)
        if found is not None:
            return replace(found, embed_ms=0.0, retrieve_ms=(time.perf_counter() - started) * 1000)
        found = self._retriever.search(query, limit=limit, offset=offset, filters=filters, kind=kind, joined=joined)
        self._results.put(key, found)
        return found

    def save(self) -> bytes:
        """Return the newest results as the successor's `restore` reads them."""
        return pickle.dumps(self._results.newest(CARRIED_BYTES), pickle.HIGHEST_PROTOCOL)

    def restore(self, saved: bytes) -> None:
        """Take over what `save` returned; only of this server's own processes, for a pickle can run code."""
        for key, found in pickle.loads(saved):  # noqa: S301
            self._results.put(key, found)

    def clear(self) -> None:
        """Let both caches go."""
        self._encoder.cache.clear()
        self._results.clear()

    def stats(self) -> dict[str, CacheStats]:
        """Return how each cache does, by name."""
        return {"embeddings": self._encoder.cache.stats(), "results": self._results.stats()}


def _result_bytes(retrieval: Retrieval) -> int:
    return 4000 + sum(_chunk_bytes(hit.chunk) for hit in retrieval.hits)


def _chunk_bytes(chunk: Chunk) -> int:
    # Python holds a text in 1, 2 or 4 bytes a character; 4 is the worst.
    return CHUNK_OVERHEAD_BYTES + 4 * (len(chunk.text) + len(chunk.title) + len(chunk.section))
