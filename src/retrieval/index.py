"""The one door to a built index: `open_index` gives back something that searches, with its texts.

Hybrid search finds the chunks nearest by meaning and those best by words, and makes one ranking of both. A search by
words alone asks for neither model nor vectors, so that DEGRADED mode loads nothing. While the vectors cannot be asked,
a hybrid search becomes one by words.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from src.artifacts import LEXICAL_FILE, Manifest, ModelCard
from src.errors import VectorsUnavailable
from src.records import Filters, Hit, Retrieval, RetrievalKind
from src.retrieval.lexical_index import LexicalIndex
from src.retrieval.ranking import (
    ScoredId,
    drop_repeats,
    find_nearest,
    fuse,
    lift_by_similar,
    measure_cosines,
    to_passages,
)
from src.retrieval.spelling import clean_question, correct_slips
from src.retrieval.text_store import TextStore
from src.retrieval.vector_store import VectorSearch, open_vectors, store_format

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CANDIDATES = 100  # by meaning, and as many by words; whatever page is asked for, so that pages fit together
RESCORED = 50  # of the candidates, by their sentences
# Chunks read for each passage asked for: a chunk beside a better one is taken into its passage.
CHUNKS_PER_PASSAGE = 1.5
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
        """Embed passages: (texts, dimension) float32, rows of norm 1, in the order given."""

    def embed_question(self, question: str) -> NDArray[np.float32]:
        """Embed one question: (dimension,), norm 1."""

    def find_token(self, word: str) -> int | None:
        """Return the model's own number of a word in lower case; the more frequent the smaller. None: it knows none."""


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
        self._words = LexicalIndex(texts, manifest.spec.languages)
        self._get_encoder = get_encoder
        self._get_vectors = get_vectors
        self._close = close
        self._search_once = lru_cache(maxsize=REMEMBERED_RESULTS)(self._search)
        self._find_once = lru_cache(maxsize=REMEMBERED_RESULTS)(self._find_passages)

    def search(
        self,
        query: str,
        *,
        limit: int,
        offset: int = 0,
        filters: Filters = _NO_FILTERS,
        kind: RetrievalKind = "hybrid",
    ) -> Retrieval:
        """Return `limit` chunks after the first `offset`; the score is fused, the cosine or BM25, by the kind found."""
        return self._look_up(self._search_once, query, limit, offset, filters, kind=kind)

    def find_passages(self, query: str, *, limit: int, filters: Filters, kind: RetrievalKind) -> Retrieval:
        """Return up to `limit` passages to answer from: chunks, short ones with those beside them."""
        return self._look_up(self._find_once, query, limit, filters, kind=kind)

    def list_titles(self, limit: int) -> tuple[list[str], int]:
        """Return the first documents' titles, and how many documents there are."""
        entries, total = self.texts.list_documents(limit, 0)
        return [entry.title for entry in entries], total

    def _look_up(self, find: Callable[..., Retrieval], *arguments: object, kind: RetrievalKind) -> Retrieval:
        """Find by words where the vectors cannot be asked; time what was remembered anew."""
        started = time.perf_counter()
        try:
            found = find(*arguments, kind)
        except VectorsUnavailable:  # which no cache keeps
            if kind != "hybrid":
                raise
            found = find(*arguments, "lexical")
        took_ms = _ms_since(started)
        if took_ms < found.embed_ms + found.retrieve_ms:  # it was remembered
            return replace(found, embed_ms=0.0, retrieve_ms=took_ms)
        return found

    def clear_cache(self) -> None:
        """Forget the results of earlier searches."""
        self._search_once.cache_clear()
        self._find_once.cache_clear()

    def cache_stats(self) -> CacheStats:
        """Tell how often a result was remembered."""
        infos = (self._search_once.cache_info(), self._find_once.cache_info())
        return CacheStats(*(sum(getattr(info, name) for info in infos) for name in ("hits", "misses", "currsize")))

    def close(self) -> None:
        """Close the texts, and the vectors if this index opened them."""
        self._close()

    def _search(self, query: str, limit: int, offset: int, filters: Filters, kind: RetrievalKind) -> Retrieval:
        found = self._rank(query, max(CANDIDATES, limit), filters, kind)
        hits = self._read_hits(found.ranking[offset : offset + limit], found)
        return found.to_retrieval(hits, kind)

    def _find_passages(self, query: str, limit: int, filters: Filters, kind: RetrievalKind) -> Retrieval:
        found = self._rank(query, CANDIDATES, filters, kind)
        hits = self._read_hits(found.ranking[: int(CHUNKS_PER_PASSAGE * limit)], found)
        ids = {hit.chunk.chunk_id for hit in hits}
        sides = [f"{hit.chunk.document}#{hit.chunk.number + step}" for hit in hits for step in (1, -1)]
        others = self._read_hits([ScoredId(side, 0.0) for side in dict.fromkeys(sides) if side not in ids], found)
        beside = {hit.chunk.chunk_id: hit for hit in (*hits, *others)}
        return found.to_retrieval(to_passages(hits, beside, limit, self.texts.read_text), kind)

    def _rank(self, query: str, candidates: int, filters: Filters, kind: RetrievalKind) -> _Found:
        """Rank the chunks; look into the sentences of the best."""
        started = time.perf_counter()
        query = clean_question(query)
        if kind == "lexical":
            query = correct_slips(query, self.texts, lambda _: None)
            return _Found(self._words.search(query, candidates, filters), started)
        encoder, vectors = self._get_encoder(), self._get_vectors()
        started = time.perf_counter()
        query = correct_slips(query, self.texts, encoder.find_token)
        embedding = encoder.embed_question(query)
        embed_ms = _ms_since(started)
        dense = vectors.search(embedding, candidates, filters)
        if kind == "dense":
            return _Found(dense, started, embedding, embed_ms)
        lexical = self._words.search(query, candidates, filters)
        best = [scored.chunk_id for scored in fuse(dense, lexical)[:RESCORED]]
        sentences = self.texts.get_sentences_of(best, len(embedding))
        nearest = find_nearest(sentences, embedding)
        ranking = lift_by_similar(fuse(dense, lexical, nearest), sentences)
        ranking = drop_repeats(ranking, sentences, self.texts.get_headings)
        sums = [scored.score + nearest.get(scored.chunk_id, 0.0) for scored in dense]
        return _Found(ranking, started, embedding, embed_ms, sentences, max(sums, default=None))

    def _read_hits(self, page: Sequence[ScoredId], found: _Found) -> list[Hit]:
        chunks = self.texts.get_chunks([scored.chunk_id for scored in page])
        cosines: dict[str, tuple[float, ...]] = {}
        if found.embedding is not None:
            unread = [scored.chunk_id for scored in page if scored.chunk_id not in found.sentences]
            more = self.texts.get_sentences_of(unread, len(found.embedding)) if unread else {}
            for chunk in chunks:
                rows = found.sentences.get(chunk.chunk_id, more.get(chunk.chunk_id))
                cosines[chunk.chunk_id] = () if rows is None else measure_cosines(rows, found.embedding)
        scores = {scored.chunk_id: scored.score for scored in page}
        return [Hit(chunk, scores[chunk.chunk_id], cosines.get(chunk.chunk_id, ())) for chunk in chunks]


@dataclass(frozen=True, slots=True)
class _Found:
    """A ranking and what it was made from.

    Args:
        started: when the search began, by `time.perf_counter`.
        sentences: the sentences' embeddings of the best chunks, by chunk id.
    """

    ranking: list[ScoredId]
    started: float
    embedding: NDArray[np.float32] | None = None
    embed_ms: float = 0.0
    sentences: Mapping[str, NDArray[np.int8]] = field(default_factory=dict)
    nearest: float | None = None

    def to_retrieval(self, hits: Sequence[Hit], kind: RetrievalKind) -> Retrieval:
        """Give what the search brings to others; the rest of its time went into the search."""
        retrieve_ms = _ms_since(self.started) - self.embed_ms
        return Retrieval(tuple(hits), kind, len(self.ranking), self.embed_ms, retrieve_ms, self.nearest)


def _refuse() -> Encoder:
    raise LookupError("This index was opened without an encoder: it searches by words only.")


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
