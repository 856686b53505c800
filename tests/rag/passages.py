"""Passages made from plain sentences, with embeddings that carry meaning: texts that share words are near."""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from src.records import Chunk, Hit, Retrieval, RetrievalKind
from src.retrieval.analyzer import content_stems

DIMENSION = 256


def embed(text: str) -> NDArray[np.float32]:
    """Embed a text as the hashed bag of its stems, norm 1."""
    row = np.zeros(DIMENSION, dtype=np.float32)
    for stem in content_stems(text):
        row[zlib.crc32(stem.encode()) % DIMENSION] += 1.0
    norm = float(np.linalg.norm(row))
    return row / norm if norm else row


def make_chunk(
    *sentences: str,
    document: str = "leave.md",
    title: str = "Leave",
    section: str = "",
    start: int = 0,
    separator: str = " ",
    page: int | None = None,
) -> Chunk:
    """Make a passage that begins at `start` in its document."""
    spans: list[tuple[int, int]] = []
    text = ""
    for sentence in sentences:
        text += separator if text else ""
        spans.append((len(text), len(text) + len(sentence)))
        text += sentence
    return Chunk(f"{document}#0", document, title, section, page, text, start, start + len(text), tuple(spans))


def measure_cosines(chunk: Chunk, question: str) -> tuple[float, ...]:
    """Return each sentence's cosine with the question."""
    return tuple(float(embed(chunk.text[start:end]) @ embed(question)) for start, end in chunk.sentences)


class Passages:
    """A search over the given passages."""

    def __init__(self, *chunks: Chunk) -> None:
        self.chunks = {chunk.chunk_id: chunk for chunk in chunks}
        self.queries: list[tuple[str, int, RetrievalKind]] = []

    def search(self, query: str, *, limit: int, filters: object, kind: RetrievalKind, joined: bool) -> Retrieval:
        """Rank all passages by meaning, whatever the kind; a lexical search embeds nothing."""
        self.queries.append((query, limit, kind))
        embedding = embed(query)
        scored = [(float(embed(f"{c.title} {c.text}") @ embedding), c) for c in self.chunks.values()]
        scored.sort(key=lambda pair: -pair[0])
        if kind == "lexical":
            return Retrieval(tuple(Hit(chunk, score) for score, chunk in scored[:limit]), kind, len(scored), 0.0, 1.0)
        hits = tuple(Hit(chunk, score, measure_cosines(chunk, query)) for score, chunk in scored[:limit])
        return Retrieval(hits, kind, len(scored), 1.0, 1.0, scored[0][0] if scored else None)


def hits_of(chunks: Sequence[Chunk], question: str | None = None) -> list[Hit]:
    """Make hits in the given order, found by meaning where there is a question."""
    cosines = [measure_cosines(chunk, question) if question else () for chunk in chunks]
    return [Hit(chunk, 1.0 / rank, cosines[rank - 1]) for rank, chunk in enumerate(chunks, start=1)]
