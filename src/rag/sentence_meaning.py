"""How near the sentences of a passage are to a question, from embeddings made at build time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from src.records import Chunk

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

INT8_SCALE = 127.0


class SentenceEmbeddings(Protocol):
    """Where the embeddings of a passage's sentences are."""

    def get_sentence_embeddings(self, chunk_id: str) -> NDArray[np.int8]:
        """Return (sentences, dimension): 127 times the unit-norm rows, rounded."""
        ...


def measure_cosines(chunk: Chunk, query_embedding: NDArray[np.float32], passages: SentenceEmbeddings) -> list[float]:
    """Return each sentence's cosine with the question.

    Args:
        query_embedding: (dimension,), norm 1.
    """
    if not chunk.sentences:
        return []
    rows = passages.get_sentence_embeddings(chunk.chunk_id)
    cosines: list[float] = (rows.astype(query_embedding.dtype) @ query_embedding / INT8_SCALE).tolist()
    return cosines
