"""Whether a question is answered by the documents at all."""

import pytest

from src.rag.relevance import LEXICAL_FLOOR, calibrate_floor, is_answerable, measure_coverage, measure_relevance
from src.records import Filters, Retrieval
from tests.fakes import Passages, hits_of, make_chunk

LEAVE = make_chunk("Staff have 27 days of paid leave.", "Ask in Roster.")
PASSAGES = Passages(LEAVE)


def retrieve(question: str, kind: str = "hybrid") -> Retrieval:
    return PASSAGES.search(question, limit=5, filters=Filters(), kind=kind, joined=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["hybrid", "lexical"])
def test_question_near_a_passage_is_answerable(kind: str) -> None:
    """By meaning and words, or by words alone."""
    question = "How many days of paid leave?"
    assert is_answerable(question, retrieve(question, kind), None)


@pytest.mark.parametrize("kind", ["hybrid", "lexical"])
def test_question_far_from_all_passages_is_not(kind: str) -> None:
    """Nothing near, nothing answered."""
    question = "Who won the football cup in Spain?"
    assert not is_answerable(question, retrieve(question, kind), None)


def test_floor_of_the_manifest_decides() -> None:
    """The same question passes under a low floor and fails under a high one."""
    question = "How many days of paid leave?"
    score = measure_relevance(question, retrieve(question))
    assert is_answerable(question, retrieve(question), score)
    assert not is_answerable(question, retrieve(question), score + 0.01)


def test_nothing_found_is_nothing_answered() -> None:
    """An empty result is a refusal under any floor."""
    assert not is_answerable("leave", Retrieval((), "lexical", 0, 0.0, 0.0), -1.0)


def test_coverage_is_the_share_of_the_questions_words() -> None:
    """Of "paid", "leave", "sabbaticals" the passage holds two."""
    assert measure_coverage("paid leave, sabbaticals?", hits_of([LEAVE])) == pytest.approx(2 / 3)
    assert LEXICAL_FLOOR < 2 / 3


def test_calibrated_floor_lies_above_unrelated_questions() -> None:
    """Of .1 to .5 the median is .3 and the upper quartile .4: the floor is .3 + 2 x .1, whatever the highest is."""
    assert calibrate_floor([0.5, 0.1, 0.4, 0.2, 0.3]) == pytest.approx(0.5)
    assert calibrate_floor([0.9, 0.1, 0.4, 0.2, 0.3]) == pytest.approx(0.5)
