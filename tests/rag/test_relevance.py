"""What a search says about its question."""

import math

import pytest

from src.rag.relevance import (
    ALONE_SHARE,
    CONTEXT_BASE,
    CONTEXT_PER_STEM,
    LEXICAL_FLOORS,
    Floors,
    Outcome,
    calibrate_floors,
    judge,
    needed_nearness,
)
from src.records import Hit, Retrieval
from tests.fakes import make_chunk

FLOORS = Floors(refuse=0.5, certain=0.75)
LEAVE = make_chunk("Staff have 27 days of paid leave.")


def found(*scores: float, nearest: float | None = 1.0) -> Retrieval:
    kind = "lexical" if nearest is None else "hybrid"
    return Retrieval(tuple(Hit(LEAVE, score) for score in scores), kind, len(scores), 0.0, 0.0, nearest)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("score", "outcome"),
    [
        (0.49, Outcome.NOT_FOUND),
        (0.5, Outcome.UNCERTAIN),
        (0.74, Outcome.UNCERTAIN),
        (0.75, Outcome.ANSWERED),
        (9.0, Outcome.ANSWERED),
    ],
)
def test_floors_part_three_outcomes(score: float, outcome: Outcome) -> None:
    """Under the first floor nothing is near, from the second on the passage answers."""
    assert judge("leave?", found(score), FLOORS) is outcome


def test_best_passage_decides() -> None:
    """The others may score what they like."""
    assert judge("leave?", found(0.8, 0.1), FLOORS) is Outcome.ANSWERED
    assert judge("leave?", found(0.1, 0.8), FLOORS) is Outcome.NOT_FOUND


@pytest.mark.parametrize(
    ("question", "outcome"),
    [
        ("Darf mein Hund mit?", Outcome.NOT_FOUND),
        ("Wann beginnt ein Urlaub im Sommer?", Outcome.UNCERTAIN),
        ("Wann verfallen Urlaubstage?", Outcome.ANSWERED),
    ],
)
def test_passage_in_a_language_unknown_to_the_model_is_judged_by_its_words(question: str, outcome: Outcome) -> None:
    """Its cosines are high whatever is asked: the share of the question's words that stand in it tells more."""
    text = "Urlaubstage verfallen am 31. März. Der Antrag auf Urlaub wird im Portal gestellt."
    hit = Hit(make_chunk(text, document="de.md"), 9.0)
    for nearest in (1.0, None):
        retrieval = Retrieval((hit,), "hybrid", 1, 0.0, 0.0, nearest)
        assert judge(question, retrieval, Floors(0.5, 0.75, frozenset({"de.md"}))) is outcome
    assert judge(question, retrieval, Floors(0.5, 0.75, frozenset({"fr.md"}))) is Outcome.ANSWERED


@pytest.mark.parametrize(
    ("score", "outcome"),
    [
        (LEXICAL_FLOORS.refuse - 0.01, Outcome.NOT_FOUND),
        (LEXICAL_FLOORS.refuse, Outcome.UNCERTAIN),
        (LEXICAL_FLOORS.certain, Outcome.ANSWERED),
    ],
)
def test_search_by_words_alone_has_its_own_floors(score: float, outcome: Outcome) -> None:
    """BM25 is on another scale than cosines, so a model's floors say nothing about it."""
    assert judge("leave?", found(score, nearest=None), Floors(100.0, 200.0)) is outcome


def test_nothing_found_is_nothing_answered() -> None:
    """An empty result is a refusal under any floor."""
    assert judge("leave?", found(), Floors(-1.0, -0.5)) is Outcome.NOT_FOUND
    assert judge("leave?", found(nearest=None), Floors(-1.0, -0.5)) is Outcome.NOT_FOUND


def test_longer_and_nearer_question_needs_its_context_less() -> None:
    """A base, a step for each meaningful word ("paid" and "leave" are two), and a share of how near it comes alone."""
    needed = needed_nearness("How much paid leave?", found(0.9, nearest=0.5))
    assert needed == pytest.approx(CONTEXT_BASE + 2 * CONTEXT_PER_STEM + 0.5 * ALONE_SHARE)


def test_words_alone_need_the_context_only_where_they_find_nothing() -> None:
    """Without cosines two searches cannot be compared: what was found stays; where nothing was, anything is more."""
    assert needed_nearness("leave", found(9.0, nearest=None)) == math.inf
    assert needed_nearness("leave", found(nearest=None)) == 0.0


def test_calibrated_floors_lie_above_unrelated_questions() -> None:
    """Of .1 to .5 the median is .3 and the upper quartile .4: the floors are 2 and 5 of these steps above."""
    assert calibrate_floors([0.5, 0.1, 0.4, 0.2, 0.3]) == Floors(0.5, 0.8)
    assert calibrate_floors([0.9, 0.1, 0.4, 0.2, 0.3]) == Floors(0.5, 0.8)
