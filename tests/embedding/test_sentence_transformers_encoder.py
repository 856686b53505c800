"""The original model behind the same `embed`."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from src.embedding.sentence_transformers_encoder import DEFAULT_MODEL, SentenceTransformersEncoder, locate_model
from src.errors import BuildError

CANARIES = json.loads(Path(__file__).with_name("canaries.json").read_text(encoding="utf-8"))


def test_missing_library_names_the_cure(monkeypatch):
    """Serving does not install it; whoever asks for it learns how to."""
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(BuildError, match=r"pip install -r requirements-export\.txt"):
        SentenceTransformersEncoder("all-MiniLM-L6-v2")


@pytest.mark.export
def test_embeds_as_the_canaries_say():
    """The committed vectors are this library's; rows have norm 1."""
    encoder = SentenceTransformersEncoder("all-MiniLM-L6-v2", "cpu")
    cosines = (encoder.embed(CANARIES["texts"]) * np.array(CANARIES["embeddings"])).sum(axis=1)
    assert cosines.min() > 0.9999


@pytest.mark.export
def test_unknown_model_is_refused_by_name(tmp_path):
    """A folder without a model."""
    with pytest.raises(BuildError, match="cannot be loaded as a sentence-transformers model"):
        SentenceTransformersEncoder(str(tmp_path), "cpu")


def test_folder_by_the_default_models_name_is_ones_own_model(tmp_path, monkeypatch):
    """As sentence-transformers takes it; the weights that lie in a package are for the name alone."""
    (tmp_path / DEFAULT_MODEL).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert locate_model(DEFAULT_MODEL) == DEFAULT_MODEL
