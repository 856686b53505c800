"""What a model will need, against what was measured on whole servers and on the real vocabularies."""

import pytest

from src.artifacts import ModelCard
from src.embedding.export.prediction import ModelSize
from tests.conftest import ROOT

MINILM_L6 = ModelSize(22.71, 11.72, 30_522, "WordPiece")
MULTILINGUAL_L12 = ModelSize(117.65, 96.01, 250_037, "Unigram")


def test_default_model_is_what_its_server_was_measured_with() -> None:
    """140 MB after the first chat; its card, which was written before, says the same."""
    assert MINILM_L6.serving_mb == pytest.approx(140, abs=1)
    assert ModelCard.load(ROOT / "data" / "model").serving_mb == 140
    assert "Warning" not in MINILM_L6.summary(512)


def test_large_vocabulary_is_most_of_the_memory_and_comes_with_a_cure() -> None:
    """XLM-R's tokenizer alone takes 276 MB, the layers of its small model 22."""
    summary = MULTILINGUAL_L12.summary(512)
    assert "82% of them in a vocabulary of 250,037 words" in summary
    assert MULTILINGUAL_L12.tokenizer_mb == pytest.approx(276, rel=0.01)
    assert MULTILINGUAL_L12.serving_mb == pytest.approx(122 + 276 + 22, abs=2)
    assert "saves memory at the expense of its answers" in summary
    assert "GitHub takes files of up to 100 MB" in summary
    assert "at the expense" not in MULTILINGUAL_L12.summary(1024)


def test_unknown_tokenizer_counts_as_the_largest_known() -> None:
    """A prediction that is too high costs a look at the figures, one that is too low a server."""
    assert ModelSize(10, 5, 1000, "BPE").tokenizer_mb == ModelSize(10, 5, 1000, "Unigram").tokenizer_mb


@pytest.mark.export
def test_sizes_are_counted_on_the_model_itself() -> None:
    """The default model has 22.7 million parameters, half of them words."""
    from src.embedding.export.onnx_export import load_original

    size = ModelSize.of(load_original("all-MiniLM-L6-v2"))
    assert (round(size.parameters, 2), round(size.vocabulary_parameters, 2)) == (22.71, 11.72)
    assert (size.words, size.tokenizer) == (30_522, "WordPiece")
