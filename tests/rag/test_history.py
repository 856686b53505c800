"""Follow-up questions and the conversation before them."""

import pytest

from src.rag.history import add_context, bound_history, is_follow_up
from src.records import Turn

TALK = (Turn("user", "How many days of leave do employees have?"), Turn("assistant", "27 days."))


@pytest.mark.parametrize(
    "question",
    [
        "and for contractors?",
        "What about part-time staff?",
        "Can I carry them over?",
        "Why?",
        "How much is it worth in money?",
    ],
)
def test_question_that_points_back_is_a_follow_up(question: str) -> None:
    """Openings, pronouns and bare fragments need what was said before."""
    assert is_follow_up(question)


def test_whole_question_stands_alone() -> None:
    """A question with its own subject is searched as it is, whatever was said before."""
    question = "Which passwords does the company manager require?"
    assert add_context(question, TALK) == question


def test_follow_up_is_searched_with_the_question_before() -> None:
    """The user's words help, the assistant's do not."""
    assert add_context("and for contractors?", TALK) == "How many days of leave do employees have? and for contractors?"


def test_chain_of_follow_ups_reaches_its_subject() -> None:
    """The second follow-up needs the question before the first."""
    talk = (*TALK, Turn("user", "and for contractors?"), Turn("assistant", "None."))
    assert "days of leave" in add_context("why?", talk)


def test_follow_up_without_a_conversation_stays() -> None:
    """There is nothing to add."""
    assert add_context("why?", ()) == "why?"


def test_oldest_turns_are_dropped_first() -> None:
    """What fits is the end of the conversation."""
    talk = [Turn("user", letter * 40) for letter in "abc"]
    assert bound_history(talk, max_chars=100) == tuple(talk[1:])


def test_huge_turn_leaves_nothing() -> None:
    """A megabyte is not passed on."""
    assert bound_history([Turn("user", "x" * 1_000_000)]) == ()
