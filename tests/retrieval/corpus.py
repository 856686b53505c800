"""A small corpus and an encoder with meaning: texts that share words are near."""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from src.records import Chunk, Document

DIMENSION = 256
TEXTS = {
    "leave.md": ("Annual leave", "Everybody gets 25 days of holiday a year. Unused days lapse in March."),
    "on-call.md": ("On-call duty", "The pager rotates weekly. On-call engineers are reimbursed for each night."),
    "server.md": ("Server settings", "The setting max_requests is 50. The port is 8000."),
    "travel/rail trip.md": ("Travel", "Book trains, not planes. Travel costs are reimbursed within 30 days."),
}


def make_chunk(document: Document, number: int = 0, start: int = 0, end: int | None = None) -> Chunk:
    stop = len(document.text) if end is None else end
    text = document.text[start:stop]
    cut = text.find(". ") + 1
    sentences = ((0, cut), (cut + 1, len(text))) if cut else ((0, len(text)),)
    return Chunk(
        f"{document.path}#{number}", document.path, document.title, "Rules", None, text, start, stop, sentences
    )


DOCUMENTS = [Document(path, title, text, sha256="0" * 64) for path, (title, text) in TEXTS.items()]
CHUNKS = [make_chunk(document) for document in DOCUMENTS]


class WordEncoder:
    """Unit-norm bags of hashed words."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = np.zeros((len(texts), DIMENSION), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().replace(".", " ").split():
                row[zlib.crc32(word.encode()) % DIMENSION] += 1
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def sentence_embeddings(chunk: Chunk) -> NDArray[np.int8]:
    rows = WordEncoder().embed([chunk.text[start:end] for start, end in chunk.sentences])
    return np.rint(127 * rows).astype(np.int8)
