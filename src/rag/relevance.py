"""Whether the documents answer a question at all: one score from meaning and words, and the floor under it.

Pure functions, for the server and for the build, which calibrates the floor and keeps it in the manifest.
"""

from collections.abc import Sequence
from statistics import quantiles

from src.records import Hit, Retrieval
from src.retrieval.analyzer import content_stems, question_stems

COVERAGE_WEIGHT = 0.3
# Chosen on questions of squad20_dev for all-MiniLM-L6-v2 int8; docs/design-and-evaluation.md has what it does.
DEFAULT_FLOOR_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
DEFAULT_FLOOR = 0.62
# By words alone, the same halves of squad20_dev: 79 % and 10 %.
LEXICAL_FLOOR = 0.5
# So many passages are looked at for the question's words.
PASSAGES_FOR_WORDS = 3


def measure_relevance(question: str, retrieval: Retrieval) -> float:
    """Score how well the passages fit a question: the nearest meaning, of a passage or a sentence, and shared words.

    Where nothing was embedded, the words alone are the score.
    """
    coverage = measure_coverage(question, retrieval.hits)
    if retrieval.relevance is None:
        return coverage
    nearest = max([retrieval.relevance, *(cosine for hit in retrieval.hits for cosine in hit.cosines)])
    return nearest + COVERAGE_WEIGHT * coverage


def measure_coverage(question: str, hits: Sequence[Hit]) -> float:
    """Return the largest share of the question's words that one of the first passages holds, 0 to 1."""
    wanted = question_stems(question)
    if not wanted or not hits:
        return 0.0
    chunks = [hit.chunk for hit in hits[:PASSAGES_FOR_WORDS]]
    held = (content_stems(f"{chunk.title} {chunk.section} {chunk.text}") for chunk in chunks)
    return max(len(wanted.intersection(stems)) for stems in held) / len(wanted)


def is_answerable(question: str, retrieval: Retrieval, floor: float | None) -> bool:
    """Tell whether the passages are near enough to the question to answer it.

    Args:
        floor: of `measure_relevance` where the question was embedded; None: not calibrated, `DEFAULT_FLOOR` is taken.
    """
    if not retrieval.hits:
        return False
    if retrieval.relevance is None:
        floor = LEXICAL_FLOOR
    return measure_relevance(question, retrieval) >= (DEFAULT_FLOOR if floor is None else floor)


def calibrate_floor(unrelated: Sequence[float]) -> float:
    """Set the floor above what questions score that have nothing to do with the documents.

    As far above their median as twice the upper quartile is, so that up to a quarter of them may be answered by the
    documents after all. docs/decisions/0003 has what it does beside the measured floor.

    Args:
        unrelated: `measure_relevance` of at least two such questions.
    """
    _, median, upper_quartile = quantiles(unrelated, n=4, method="inclusive")
    return median + 2 * (upper_quartile - median)
