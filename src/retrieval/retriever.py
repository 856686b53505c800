"""Hybrid retrieval: nearest by meaning and best by words, fused into one ranking and weighed by their sentences.

Lexical search alone needs neither model nor vectors; it asks for neither, so that DEGRADED mode loads nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from src.records import Filters, Hit, Retrieval, RetrievalKind
from src.retrieval.fusion import ScoredId, fuse
from src.retrieval.lexical_index import LexicalIndex
from src.retrieval.neighbours import join_neighbours
from src.retrieval.passage_store import PassageStore
from src.retrieval.sentence_evidence import drop_repeats, lift_by_neighbours, measure_cosines, raise_by_sentences

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CANDIDATES = 100
RESCORED = 50  # of the candidates, by their sentences


class Encoder(Protocol):
    """Turns texts into unit-norm rows."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (texts, dimension) float32."""


class VectorSearch(Protocol):
    """Finds the passages nearest to an embedding."""

    def search(self, embedding: NDArray[np.float32], limit: int, filters: Filters) -> list[ScoredId]:
        """Return up to `limit` chunks, best first; the score is the cosine."""


class Retriever:
    """Finds the passages that fit a question; the getters are called only when meaning is asked for."""

    def __init__(
        self,
        passages: PassageStore,
        lexical: LexicalIndex,
        get_encoder: Callable[[], Encoder],
        get_vectors: Callable[[], VectorSearch],
    ) -> None:
        self._passages = passages
        self._lexical = lexical
        self._get_encoder = get_encoder
        self._get_vectors = get_vectors

    def search(
        self,
        query: str,
        *,
        limit: int,
        offset: int = 0,
        filters: Filters = Filters(),  # noqa: B008 - frozen
        kind: RetrievalKind = "hybrid",
        joined: bool = False,
    ) -> Retrieval:
        """Return `limit` hits after the first `offset`; the score is the fused one, the cosine, or BM25, by `kind`.

        Args:
            joined: passages that follow one another in a section become one hit, so that there may be fewer.
        """
        candidates = max(CANDIDATES, limit + offset)
        dense: list[ScoredId] = []
        embedding: NDArray[np.float32] | None = None
        embed_ms = 0.0
        started = time.perf_counter()
        if kind != "lexical":
            encoder, vectors = self._get_encoder(), self._get_vectors()
            started = time.perf_counter()
            embedding = encoder.embed([query])[0]
            embed_ms = _ms_since(started)
            dense = vectors.search(embedding, candidates, filters)
        lexical = self._lexical.search(query, candidates, filters) if kind != "dense" else []
        ranking = dense or lexical
        sentences: dict[str, NDArray[np.int8]] = {}
        if kind == "hybrid" and embedding is not None:
            ranking, sentences = self._merge(dense, lexical, embedding)
        hits = self._read_hits(ranking[offset : offset + limit], sentences, embedding)
        return Retrieval(
            hits=tuple(join_neighbours(hits, self._passages.read_text) if joined else hits),
            kind=kind,
            total=len(ranking),
            embed_ms=embed_ms,
            retrieve_ms=_ms_since(started) - embed_ms,
            relevance=dense[0].score if dense else None,
        )

    def _merge(
        self, dense: list[ScoredId], lexical: list[ScoredId], embedding: NDArray[np.float32]
    ) -> tuple[list[ScoredId], dict[str, NDArray[np.int8]]]:
        """Fuse the two rankings, look closer at the best candidates, and fuse again with what their sentences say.

        Returns the ranking and the sentences' embeddings of the best.
        """
        best = [scored.chunk_id for scored in fuse(dense, lexical)[:RESCORED]]
        sentences = self._passages.get_sentences_of(best, len(embedding))
        ranking = fuse(raise_by_sentences(dense, sentences, embedding), lexical)
        ranking = lift_by_neighbours(ranking, sentences)
        return drop_repeats(ranking, sentences, self._passages.get_headings), sentences

    def _read_hits(
        self,
        page: Sequence[ScoredId],
        sentences: Mapping[str, NDArray[np.int8]],
        embedding: NDArray[np.float32] | None,
    ) -> list[Hit]:
        chunks = self._passages.get_chunks([scored.chunk_id for scored in page])
        cosines: dict[str, tuple[float, ...]] = {}
        if embedding is not None:
            unread = [scored.chunk_id for scored in page if scored.chunk_id not in sentences]
            more = self._passages.get_sentences_of(unread, len(embedding)) if unread else {}
            for chunk in chunks:
                rows = sentences.get(chunk.chunk_id, more.get(chunk.chunk_id))
                cosines[chunk.chunk_id] = () if rows is None else measure_cosines(rows, embedding)
        scores = {scored.chunk_id: scored.score for scored in page}
        return [Hit(chunk, scores[chunk.chunk_id], cosines.get(chunk.chunk_id, ())) for chunk in chunks]


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
