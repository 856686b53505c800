"""What stands for the model and the index in unit tests. It carries meaning: texts that share words are near.

Nothing here is from `src` but the records, so that a change there cannot change what a test expects.
"""

import re
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from src.records import Chunk, Document, Hit, Retrieval, RetrievalKind

DIMENSION = 256
_STOP_WORDS = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "by", "can", "do", "does", "for", "from", "how", "i", "in", "is", "it",
    "many", "much", "my", "not", "of", "on", "or", "the", "there", "to", "what", "when", "where", "which", "who", "you",
})  # fmt: skip
_STEM_CHARS = 5


def embed(text: str) -> NDArray[np.float32]:
    """Embed a text as the bag of its words' first letters, hashed; norm 1, or 0 where no word is left."""
    row = np.zeros(DIMENSION, dtype=np.float32)
    for word in re.findall(r"\w+", text.lower()):
        if word not in _STOP_WORDS:
            row[zlib.crc32(word[:_STEM_CHARS].encode()) % DIMENSION] += 1.0
    return row / max(float(np.linalg.norm(row)), 1e-9)


class WordEncoder:
    """An encoder whose embeddings are those of `embed`."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed each text; (texts, DIMENSION)."""
        return np.array([embed(text) for text in texts], dtype=np.float32).reshape(len(texts), DIMENSION)


def make_chunk(
    *sentences: str,
    document: str = "leave.md",
    number: int = 0,
    title: str = "Leave",
    section: str = "",
    start: int = 0,
    separator: str = " ",
    page: int | None = None,
) -> Chunk:
    """Make a chunk of whole sentences that begins at `start` in its document."""
    spans: list[tuple[int, int]] = []
    text = ""
    for sentence in sentences:
        text += separator if text else ""
        spans.append((len(text), len(text) + len(sentence)))
        text += sentence
    chunk_id = f"{document}#{number}"
    return Chunk(chunk_id, document, title, section, page, text, start, start + len(text), tuple(spans))


def cut_chunk(document: Document, number: int = 0, start: int = 0, end: int | None = None) -> Chunk:
    """Make a chunk of a part of a document: of its first sentence and the rest."""
    text = document.text[start:end]
    sentences = text.split(". ", 1)
    whole = [sentence + "." for sentence in sentences[:-1]] + sentences[-1:]
    place = {"document": document.path, "title": document.title, "section": "Rules"}
    return make_chunk(*whole, number=number, start=start, **place)


def sentence_embeddings(chunk: Chunk) -> NDArray[np.int8]:
    """Embed a chunk's sentences as the index keeps them."""
    rows = WordEncoder().embed([chunk.text[start:end] for start, end in chunk.sentences])
    return np.rint(127 * rows).astype(np.int8)


def measure_cosines(chunk: Chunk, question: str) -> tuple[float, ...]:
    """Return each sentence's cosine with the question."""
    return tuple(float(embed(chunk.text[start:end]) @ embed(question)) for start, end in chunk.sentences)


def hits_of(chunks: Sequence[Chunk], question: str | None = None) -> list[Hit]:
    """Make hits in the given order, found by meaning where there is a question."""
    cosines = [measure_cosines(chunk, question) if question else () for chunk in chunks]
    return [Hit(chunk, 1.0 / rank, cosines[rank - 1]) for rank, chunk in enumerate(chunks, start=1)]


class Passages:
    """A search over the given chunks."""

    def __init__(self, *chunks: Chunk) -> None:
        self.chunks = {chunk.chunk_id: chunk for chunk in chunks}
        self.queries: list[tuple[str, int, RetrievalKind]] = []

    def search(self, query: str, *, limit: int, filters: object, kind: RetrievalKind, joined: bool) -> Retrieval:
        """Rank all chunks by meaning, whatever the kind; a lexical search embeds nothing."""
        self.queries.append((query, limit, kind))
        embedding = embed(query)
        scored = [(float(embed(f"{c.title} {c.text}") @ embedding), c) for c in self.chunks.values()]
        scored.sort(key=lambda pair: -pair[0])
        if kind == "lexical":
            return Retrieval(tuple(Hit(chunk, score) for score, chunk in scored[:limit]), kind, len(scored), 0.0, 1.0)
        hits = tuple(Hit(chunk, score, measure_cosines(chunk, query)) for score, chunk in scored[:limit])
        return Retrieval(hits, kind, len(scored), 1.0, 1.0, scored[0][0] if scored else None)
