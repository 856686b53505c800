"""A small corpus, and its chunks."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from src.records import Chunk, Document
from src.retrieval.text_writer import TextWriter
from tests.fakes import cut_chunk, sentence_embeddings

TEXTS = {
    "leave.md": ("Annual leave", "Everybody gets 25 days of holiday a year. Unused days lapse in March."),
    "on-call.md": ("On-call duty", "The pager rotates weekly. On-call engineers are reimbursed for each night."),
    "server.md": ("Server settings", "The setting max_requests is 50. The port is 8000."),
    "travel/rail trip.md": ("Travel", "Book trains, not planes. Travel costs are reimbursed within 30 days."),
}
DOCUMENTS = [Document(path, title, text, sha256="0" * 64) for path, (title, text) in TEXTS.items()]
CHUNKS = [cut_chunk(document) for document in DOCUMENTS]


def write_texts(
    path: Path,
    documents: Iterable[Document],
    chunks: Sequence[Chunk],
    embed: Callable[[Chunk], NDArray[np.int8]] = sentence_embeddings,
) -> None:
    with closing(TextWriter(path)) as writer:
        for document in documents:
            writer.add_document(document, [chunk for chunk in chunks if chunk.document == document.path])
        for chunk in chunks:
            writer.add_sentence_embeddings(chunk.chunk_id, embed(chunk))
        writer.finish()
