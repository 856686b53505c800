"""Passages made from plain sentences, with embeddings that carry meaning: texts that share words are near."""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from src.rag.words import content_stems
from src.records import Chunk, Hit, Retrieval, RetrievalKind

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


class Passages:
    """Sentence embeddings of the given passages, and a search over them."""

    def __init__(self, *chunks: Chunk) -> None:
        self.chunks = {chunk.chunk_id: chunk for chunk in chunks}
        self.queries: list[tuple[str, int, RetrievalKind]] = []

    def get_sentence_embeddings(self, chunk_id: str) -> NDArray[np.int8]:
        """Return int8 rows as the real store does."""
        chunk = self.chunks[chunk_id]
        rows = [embed(chunk.text[start:end]) for start, end in chunk.sentences]
        return np.round(127 * np.array(rows)).astype(np.int8)

    def search(self, query: str, *, limit: int, filters: object, kind: RetrievalKind) -> Retrieval:
        """Rank all passages by meaning, whatever the kind; a lexical search embeds nothing."""
        self.queries.append((query, limit, kind))
        embedding = embed(query)
        scored = [(float(embed(f"{c.title} {c.text}") @ embedding), c) for c in self.chunks.values()]
        scored.sort(key=lambda pair: -pair[0])
        hits = tuple(Hit(chunk, score) for score, chunk in scored[:limit])
        if kind == "lexical":
            return Retrieval(hits, kind, len(scored), 0.0, 1.0)
        return Retrieval(hits, kind, len(scored), 1.0, 1.0, scored[0][0] if scored else None, embedding)


def hits_of(chunks: Sequence[Chunk]) -> list[Hit]:
    """Make hits in the given order."""
    return [Hit(chunk, 1.0 / rank) for rank, chunk in enumerate(chunks, start=1)]
