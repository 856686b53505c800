"""What a search says about its question: whether the best passage answers it, and whether it needs its context.

Pure functions, for the server and for the build, which calibrates the floors of other models than the default one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from statistics import quantiles
from typing import Self

from src.artifacts import Manifest
from src.records import Retrieval
from src.retrieval.analyzer import question_stems, share_words


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
        unknown_documents: whose language the model does not know, so that their scores say nothing.
    """

    refuse: float
    certain: float
    unknown_documents: frozenset[str] = frozenset()

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """Read those of an index."""
        floors = manifest.results.relevance_floors or (DEFAULT_FLOORS.refuse, DEFAULT_FLOORS.certain)
        return cls(*floors, frozenset(manifest.spec.unknown_documents))


# Chosen on people_dev with all-MiniLM-L6-v2 int8: under the first lie 3 % of the questions that have an answer and 36 %
# of those that have none, under the second 22 and 72 %.
DEFAULT_FLOORS = Floors(0.78, 1.04)
DEFAULT_FLOOR_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
# The same by words alone: BM25 of the best passage.
LEXICAL_FLOORS = Floors(4.8, 7.4)
# In a language that the model does not know: the share of the question's words that the best passage holds. Chosen on
# the six languages of tests/fixtures; docs/decisions/0009 has the figures.
WORD_FLOORS = Floors(0.15, 0.42)

# A question is taken with its context where that brings a passage this near. Chosen on people_dev: of its 24 follow-ups
# 20 are taken so, of its 214 complete questions after an unrelated one 2.
CONTEXT_BASE = 0.37
CONTEXT_PER_STEM = 0.1
ALONE_SHARE = 0.6
# No question in its context has come nearer than this, so that a long one need not be searched for twice.
MOST_NEAR = 1.7


def judge(question: str, retrieval: Retrieval, floors: Floors) -> Outcome:
    """Tell whether the best passage answers.

    Args:
        floors: of a search by meaning and words; one by words alone has its own.
    """
    if not retrieval.hits:
        return Outcome.NOT_FOUND
    score, best = retrieval.hits[0].score, retrieval.hits[0].chunk
    if best.document in floors.unknown_documents:
        score, floors = share_words(question, f"{best.title} {best.section} {best.lead} {best.text}"), WORD_FLOORS
    elif retrieval.nearest is None:
        floors = LEXICAL_FLOORS
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
