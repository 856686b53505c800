"""What a search says about its question: whether the best passage answers it, and whether it needs its context.

Pure functions, for the server and for the build, which calibrates the floors of other models than the default one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from statistics import quantiles

from src.records import Retrieval
from src.retrieval.analyzer import question_stems


class Outcome(Enum):
    """What the documents say to a question."""

    ANSWERED = auto()
    UNCERTAIN = auto()
    NOT_FOUND = auto()


@dataclass(frozen=True, slots=True)
class Floors:
    """Scores of the best passage.

    Args:
        refuse: under this nothing is near.
        certain: from this on the passage answers; between the two that is uncertain.
    """

    refuse: float
    certain: float


# Chosen on people_dev with all-MiniLM-L6-v2 int8: under the first lie 3 % of the questions that have an answer and 36 %
# of those that have none, under the second 22 and 72 %.
DEFAULT_FLOORS = Floors(0.78, 1.04)
DEFAULT_FLOOR_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
# The same by words alone: BM25 of the best passage.
LEXICAL_FLOORS = Floors(4.8, 7.4)

# A question is taken with its context where that brings a passage this near. Chosen on people_dev: of its 24 follow-ups
# 20 are taken so, of its 214 complete questions after an unrelated one 2.
CONTEXT_BASE = 0.37
CONTEXT_PER_STEM = 0.1
ALONE_SHARE = 0.6
# No question in its context has come nearer than this, so that a long one need not be searched for twice.
MOST_NEAR = 1.7


def judge(retrieval: Retrieval, floors: Floors) -> Outcome:
    """Tell whether the best passage answers.

    Args:
        floors: of a search by meaning and words; one by words alone has its own.
    """
    if not retrieval.hits:
        return Outcome.NOT_FOUND
    floors = floors if retrieval.nearest is not None else LEXICAL_FLOORS
    score = retrieval.hits[0].score
    if score < floors.refuse:
        return Outcome.NOT_FOUND
    return Outcome.UNCERTAIN if score < floors.certain else Outcome.ANSWERED


def needed_nearness(question: str, alone: Retrieval) -> float:
    """Return how near a passage must come to a question in its context for the context to be what was meant.

    The more words a question has, and the nearer a passage is to it alone, the less it needs what was said before.
    """
    if alone.nearest is None:
        return float("inf") if alone.hits else 0.0
    return CONTEXT_BASE + CONTEXT_PER_STEM * len(question_stems(question)) + ALONE_SHARE * alone.nearest


def calibrate_floors(unrelated: Sequence[float]) -> Floors:
    """Set the floors by what questions score that have nothing to do with the documents.

    Args:
        unrelated: the best passage's scores of at least two such questions.
    """
    _, median, upper_quartile = quantiles(unrelated, n=4, method="inclusive")
    spread = upper_quartile - median
    return Floors(round(median + 2 * spread, 3), round(median + 5 * spread, 3))
