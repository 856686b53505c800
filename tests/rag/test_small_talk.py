"""Greetings and thanks, and what only looks like them."""

import pytest

from src.rag.small_talk import reply_to_small_talk


@pytest.mark.parametrize(
    "message",
    ["Hi", "hello!", "Good morning", "Hey there, how are you?", "Thanks!", "ok, thank you very much", "Bye."],
)
def test_small_talk_gets_a_line(message: str) -> None:
    """No documents are needed."""
    assert reply_to_small_talk(message)


@pytest.mark.parametrize(
    "message",
    ["Hi, how many days of leave are there?", "Thanks to whom?", "hello world program", "Good day rates?", "?"],
)
def test_question_is_no_small_talk(message: str) -> None:
    """A question with a greeting before it is a question."""
    assert reply_to_small_talk(message) is None
