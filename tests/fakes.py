"""What stands for the model and the index in unit tests. It carries meaning: texts that share words are near.

Nothing here is from `src` but the records, so that a change there cannot change what a test expects.
"""

import re
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from src.records import Chunk, Document, Filters, Hit, Retrieval, RetrievalKind

DIMENSION = 256
_STOP_WORDS = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "by", "can", "do", "does", "for", "from", "how", "i", "in", "is", "it",
    "many", "much", "my", "not", "of", "on", "or", "the", "there", "to", "what", "when", "where", "which", "who", "you",
})  # fmt: skip
_STEM_CHARS = 5
TOKENS = ("paint", "point", "giraffe")  # words that a model knows, the more frequent first


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

    def embed_question(self, question: str) -> NDArray[np.float32]:
        """Embed a question as a passage; (DIMENSION,)."""
        row: NDArray[np.float32] = self.embed([question])[0]
        return row

    def find_token(self, word: str) -> int | None:
        """Know a handful of words, the more frequent first."""
        return TOKENS.index(word) if word in TOKENS else None


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


def hits_scored(*scored: tuple[Chunk, float]) -> list[Hit]:
    """Make hits of chunks with the scores given, found by words alone."""
    return [Hit(chunk, score) for chunk, score in scored]


class Passages:
    """A search over the given chunks, which are passages already; it keeps what it was asked."""

    def __init__(self, *chunks: Chunk) -> None:
        self.chunks = {chunk.chunk_id: chunk for chunk in chunks}
        self.queries: list[tuple[str, int, RetrievalKind]] = []

    def find_passages(self, query: str, *, limit: int, filters: Filters, kind: RetrievalKind) -> Retrieval:
        """Rank by the cosines of chunk and nearest sentence, which add up to 2 at most, or by 4 a shared word."""
        self.queries.append((query, limit, kind))
        named = [c for c in self.chunks.values() if not filters.documents or c.document in filters.documents]
        rank = self._rank_by_words if kind == "lexical" else self._rank_by_meaning
        hits = sorted((rank(chunk, query) for chunk in named), key=lambda hit: -hit.score)
        hits = [hit for hit in hits if hit.score > 0]
        if kind == "lexical":
            return Retrieval(tuple(hits[:limit]), kind, len(hits), 0.0, 1.0)
        return Retrieval(tuple(hits[:limit]), kind, len(hits), 1.0, 1.0, hits[0].score if hits else None)

    def list_titles(self, limit: int) -> tuple[list[str], int]:
        """Return the titles in the order of the chunks."""
        titles = list(dict.fromkeys(chunk.title for chunk in self.chunks.values()))
        return titles[:limit], len(titles)

    @staticmethod
    def _rank_by_meaning(chunk: Chunk, query: str) -> Hit:
        cosines = measure_cosines(chunk, query)
        whole = float(embed(f"{chunk.title} {chunk.text}") @ embed(query))
        return Hit(chunk, whole + max(cosines, default=whole), cosines)

    @staticmethod
    def _rank_by_words(chunk: Chunk, query: str) -> Hit:
        return Hit(chunk, 4.0 * len(_words(query) & _words(f"{chunk.title} {chunk.text}")))


def _words(text: str) -> set[str]:
    return {word[:_STEM_CHARS] for word in re.findall(r"\w+", text.lower()) if word not in _STOP_WORDS}
