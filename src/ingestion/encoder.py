"""The encoder of a build: the exported model on all cores, or the original model on a GPU.

The int8 model scales its activations by what is in a batch, so a text embedded with others differs from the same text
alone, as a question is (mean cosine .992 to .994 in batches of 8). Alone it is also cheaper: 2.8 CPU-s against 4.2 for
120 chunks, and 164 MB against 417. And an embedding that depends on its text alone can be kept for the next build.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from src.artifacts import ModelCard
from src.config import Config
from src.embedding.embedding_service import EmbeddingService
from src.embedding.sentence_transformers_encoder import SentenceTransformersEncoder, full_name
from src.errors import BuildError
from src.ingestion.parser_process import count_cores
from src.retrieval.index import Encoder


def load_encoder(config: Config, card: ModelCard, device: str | None) -> Encoder:
    """Load the encoder that `EMBEDDING_BACKEND` names.

    Args:
        device: a torch device for sentence-transformers, such as `cuda`; None: the best one there is.

    Raises:
        BuildError: the original is not the model that was exported, so questions would be embedded by another one; or
            the device is not for this backend, or not here.
    """
    if config.embedding_backend == "onnx":
        if device is not None:
            raise BuildError(f"--device {device} is for the original model. Add --backend sentence-transformers.")
        return ParallelEncoder(config.model_dir)
    if full_name(config.embedding_model_name) != card.name:
        raise BuildError(
            f"EMBEDDING_MODEL_NAME={config.embedding_model_name} is not the model in {config.model_dir} ({card.name}), "
            "which embeds the questions. Export it first (--export-model), or name that one."
        )
    return SentenceTransformersEncoder(config.embedding_model_name, device)


class ParallelEncoder:
    """One embedding service for each core, each with a thread of its own; they share the mapped weights.

    A service embeds one text at a time.
    """

    def __init__(self, model_dir: Path) -> None:
        self._services = [EmbeddingService.load(model_dir) for _ in range(count_cores())]
        self._dimension = self._services[0].card.dimension

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed passages in the order given, rows of norm 1."""
        embeddings = np.empty((len(texts), self._dimension), dtype=np.float32)
        count = len(self._services)
        # Dealt out by length, so that all cores end together.
        by_length = sorted(range(len(texts)), key=lambda number: len(texts[number]), reverse=True)

        def embed_share(number: int) -> None:
            rows = by_length[number::count]
            embeddings[rows] = self._services[number].embed([texts[row] for row in rows])

        with ThreadPoolExecutor(count) as pool:
            list(pool.map(embed_share, range(count)))
        return embeddings

    def embed_question(self, question: str) -> NDArray[np.float32]:
        """Embed one question: (dimension,), norm 1."""
        return self._services[0].embed_question(question)

    def find_token(self, word: str) -> int | None:
        """Return the number of a word that is one token, as `EmbeddingService.find_token`."""
        return self._services[0].find_token(word)
