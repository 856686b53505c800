"""The measures an export must pass, on vectors small enough to work out by hand."""

import numpy as np
import pytest

from src.embedding.export.fidelity import load_texts, measure_fidelity, require_fidelity
from src.errors import BuildError

GOOD = {"fp32_min_cosine": 1.0, "int8_top10_overlap": 0.95}


def test_overlap_is_the_share_of_common_top_ten():
    """One question, twelve passages on a ladder: turning the ladder keeps 8 of the first 10."""
    angles = np.linspace(0, 1.1, 12)
    question = np.array([[1.0, 0.0]])
    passages = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    reference = np.concatenate([question, passages]).astype(np.float32)
    turned = np.concatenate([question, passages[::-1]]).astype(np.float32)
    fidelity = measure_fidelity(reference, reference, turned, questions=1)
    assert fidelity["fp32_min_cosine"] == pytest.approx(1)
    assert fidelity["int8_top10_overlap"] == 0.8
    assert fidelity["int8_min_cosine"] == pytest.approx(np.cos(1.1), abs=1e-4)


@pytest.mark.parametrize(("measure", "value"), [("fp32_min_cosine", 0.9998), ("int8_top10_overlap", 0.84)])
def test_value_under_the_bound_is_refused_by_name(measure, value):
    """.84: int8 weights per tensor in reduced range reach .82 and cost a tenth of nDCG@10."""
    with pytest.raises(BuildError, match=f"{measure} is {value}"):
        require_fidelity(GOOD | {measure: value})


def test_nan_is_refused():
    """A graph that gives no numbers is not a match."""
    with pytest.raises(BuildError, match="fp32_min_cosine is nan"):
        require_fidelity(GOOD | {"fp32_min_cosine": float("nan")})


def test_texts_hold_questions_and_more_passages_than_are_compared():
    """The top ten of sixteen questions among many passages."""
    questions, passages = load_texts()
    assert len(questions) == 16
    assert len(set(passages)) == len(passages) > 60
