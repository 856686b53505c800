"""The one door to a built index: `open_index` gives back something that searches, with its texts.

Hybrid search finds the chunks nearest by meaning and those best by words, and makes one ranking of both. A search by
words alone asks for neither model nor vectors, so that DEGRADED mode loads nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from src.artifacts import LEXICAL_FILE, Manifest, ModelCard
from src.records import Filters, Hit, Retrieval, RetrievalKind
from src.retrieval.lexical_index import LexicalIndex
from src.retrieval.ranking import (
    ScoredId,
    drop_repeats,
    fuse,
    join_adjacent,
    lift_by_similar,
    measure_cosines,
    raise_by_sentences,
)
from src.retrieval.text_store import TextStore
from src.retrieval.vector_store import VectorSearch, open_vectors, store_format

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CANDIDATES = 100
RESCORED = 50  # of the candidates, by their sentences
# A question asked again costs 2 ms of CPU, not 9.6. A chat's result takes about 20 KB, one of 50 chunks 200.
REMEMBERED_RESULTS = 128
_NO_FILTERS = Filters()


@dataclass(frozen=True, slots=True)
class CacheStats:
    """How well the cache of results does."""

    hits: int
    misses: int
    entries: int


class Encoder(Protocol):
    """Turns texts into embeddings."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (texts, dimension) float32, rows of norm 1, in the order given."""


def open_index(
    index_dir: Path,
    *,
    model_dir: Path | None = None,
    manifest: Manifest | None = None,
    get_encoder: Callable[[], Encoder] | None = None,
    get_vectors: Callable[[], VectorSearch] | None = None,
) -> Index:
    """Open the texts and the words of an index; model and vectors are asked for by the first search that needs them.

    Args:
        model_dir: refuse an index that another model embedded; None: do not ask.
        manifest: None: read it from the folder.
        get_encoder: None: only words can be searched.
        get_vectors: called for each search; None: the index opens its own vectors and closes them.

    Raises:
        ArtifactError: there is no index, it is damaged, or another model or another vector store made it.
    """
    manifest = manifest or Manifest.load(index_dir)
    if model_dir is not None:
        manifest.require_match(ModelCard.load(model_dir), store_format())
    opened = ExitStack()
    texts = opened.enter_context(closing(TextStore.open(index_dir / LEXICAL_FILE)))
    chunks = manifest.results.chunks
    get_own_vectors = cache(lambda: opened.enter_context(closing(open_vectors(index_dir, chunks))))
    return Index(manifest, texts, get_encoder or _refuse, get_vectors or get_own_vectors, opened.close)


class Index:
    """Finds the chunks that fit a question; use `open_index`.

    Args:
        close: closes what was opened for this index.
    """

    def __init__(
        self,
        manifest: Manifest,
        texts: TextStore,
        get_encoder: Callable[[], Encoder],
        get_vectors: Callable[[], VectorSearch],
        close: Callable[[], None],
    ) -> None:
        self.manifest = manifest
        self.texts = texts
        self._words = LexicalIndex(texts)
        self._get_encoder = get_encoder
        self._get_vectors = get_vectors
        self._close = close
        self._search_once = lru_cache(maxsize=REMEMBERED_RESULTS)(self._search)

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
        """Return `limit` hits after the first `offset`; the score is the fused one, the cosine, or BM25, by `kind`.

        Args:
            joined: adjacent chunks of a section become one hit, so that there may be fewer hits than `limit`.
        """
        started = time.perf_counter()
        found = self._search_once(query, limit, offset, filters, kind, joined)
        took_ms = _ms_since(started)
        if took_ms < found.embed_ms + found.retrieve_ms:  # it was remembered
            return replace(found, embed_ms=0.0, retrieve_ms=took_ms)
        return found

    def clear_cache(self) -> None:
        """Forget the results of earlier searches."""
        self._search_once.cache_clear()

    def cache_stats(self) -> CacheStats:
        """Tell how often a result was remembered."""
        info = self._search_once.cache_info()
        return CacheStats(info.hits, info.misses, info.currsize)

    def close(self) -> None:
        """Close the texts, and the vectors if this index opened them."""
        self._close()

    def _search(
        self, query: str, limit: int, offset: int, filters: Filters, kind: RetrievalKind, joined: bool
    ) -> Retrieval:
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
        lexical = self._words.search(query, candidates, filters) if kind != "dense" else []
        ranking = dense or lexical
        sentences: dict[str, NDArray[np.int8]] = {}
        if kind == "hybrid" and embedding is not None:
            ranking, sentences = self._merge(dense, lexical, embedding)
        hits = self._read_hits(ranking[offset : offset + limit], sentences, embedding)
        return Retrieval(
            hits=tuple(join_adjacent(hits, self.texts.read_text) if joined else hits),
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
        sentences = self.texts.get_sentences_of(best, len(embedding))
        ranking = fuse(raise_by_sentences(dense, sentences, embedding), lexical)
        ranking = lift_by_similar(ranking, sentences)
        return drop_repeats(ranking, sentences, self.texts.get_headings), sentences

    def _read_hits(
        self,
        page: Sequence[ScoredId],
        sentences: Mapping[str, NDArray[np.int8]],
        embedding: NDArray[np.float32] | None,
    ) -> list[Hit]:
        chunks = self.texts.get_chunks([scored.chunk_id for scored in page])
        cosines: dict[str, tuple[float, ...]] = {}
        if embedding is not None:
            unread = [scored.chunk_id for scored in page if scored.chunk_id not in sentences]
            more = self.texts.get_sentences_of(unread, len(embedding)) if unread else {}
            for chunk in chunks:
                rows = sentences.get(chunk.chunk_id, more.get(chunk.chunk_id))
                cosines[chunk.chunk_id] = () if rows is None else measure_cosines(rows, embedding)
        scores = {scored.chunk_id: scored.score for scored in page}
        return [Hit(chunk, scores[chunk.chunk_id], cosines.get(chunk.chunk_id, ())) for chunk in chunks]


def _refuse() -> Encoder:
    raise LookupError("This index was opened without an encoder: it searches by words only.")


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
