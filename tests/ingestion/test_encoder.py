"""Embeddings of the build are those that the server would make, in the order asked."""

from pathlib import Path

import numpy as np

from src.embedding.embedding_service import EmbeddingService
from src.ingestion.encoder import ParallelEncoder


def test_each_text_is_embedded_as_if_it_were_alone(model_dir: Path) -> None:
    """What is embedded beside a text changes nothing about it."""
    texts = ["Rest.", "Everyone has 25 days of leave. " * 9, "Call by nine.", "Take the train.", ""]
    alone = EmbeddingService.load(model_dir)
    expected = np.concatenate([alone.embed([text]) for text in texts])
    np.testing.assert_array_equal(ParallelEncoder(model_dir).embed(texts), expected)


def test_no_texts_give_no_rows(model_dir: Path) -> None:
    """A batch may be empty: chunks without a sentence."""
    assert ParallelEncoder(model_dir).embed([]).shape == (0, 384)
