"""Whether an exported model still embeds like the original: measured on a fixed set of questions and passages.

Cosine alone says little about an int8 model: what counts is that it puts the same passages first.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from src.errors import BuildError

TEXTS_FILE = Path(__file__).with_name("fidelity_texts.txt")
TOP = 10
MIN_FP32_COSINE = 0.9999
MIN_INT8_TOP10_OVERLAP = 0.85

Embeddings = NDArray[np.float32]


def load_texts() -> tuple[list[str], list[str]]:
    """Read the questions and the passages; the last passage is longer than any usual window, so that it is cut."""
    questions, passages = (part.splitlines() for part in TEXTS_FILE.read_text(encoding="utf-8").split("\n\n"))
    return questions, [*passages, " ".join(passages)]


def measure_fidelity(reference: Embeddings, fp32: Embeddings, int8: Embeddings, questions: int) -> dict[str, float]:
    """Compare embeddings of the same texts, the first `questions` rows being the questions."""
    return {
        "fp32_min_cosine": round(float((reference * fp32).sum(axis=1).min()), 6),
        "int8_min_cosine": round(float((reference * int8).sum(axis=1).min()), 4),
        "int8_mean_cosine": round(float((reference * int8).sum(axis=1).mean()), 4),
        "int8_top10_overlap": round(_top_overlap(_rank(reference, questions), _rank(int8, questions)), 4),
    }


def require_fidelity(fidelity: dict[str, float]) -> None:
    """Refuse an export that embeds differently.

    Raises:
        BuildError: with the measure, its value and its bound.
    """
    bounds = {"fp32_min_cosine": MIN_FP32_COSINE, "int8_top10_overlap": MIN_INT8_TOP10_OVERLAP}
    for measure, bound in bounds.items():
        if not fidelity[measure] >= bound:
            raise BuildError(
                f"The exported model does not embed like the original: {measure} is {fidelity[measure]}, at least "
                f"{bound} is needed. The old model is untouched. Choose another model with --export-model NAME."
            )


def _rank(embeddings: Embeddings, questions: int) -> Sequence[NDArray[np.intp]]:
    scores = embeddings[:questions] @ embeddings[questions:].T
    return [np.argsort(-row, kind="stable")[:TOP] for row in scores]


def _top_overlap(one: Sequence[NDArray[np.intp]], other: Sequence[NDArray[np.intp]]) -> float:
    shared = [np.intersect1d(a, b).size / TOP for a, b in zip(one, other, strict=True)]
    return sum(shared) / len(shared)
