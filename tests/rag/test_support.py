"""Which sentences of an LLM the passages support."""

import pytest

from src.rag.support import MARK, mark_unsupported
from tests.fakes import hits_of, make_chunk

HITS = hits_of([make_chunk("Staff have 27 days of paid leave in each calendar year.", "The budget is EUR 5,000.")])
QUESTION = "How much leave do contractors get in 2026?"


@pytest.mark.parametrize(
    "sentence",
    [
        "Staff get 27 days of paid leave each calendar year [1].",
        "Yes.",
        "The passages do not mention contractors, temporary agency workers or interns.",
        "1. Paid leave is 27 days each calendar year for staff [1].",
        "The staff budget for each calendar year is EUR 5000 [1].",
        "Staff get 27 days of paid calendar leave in 2026 [1].",
    ],
)
def test_supported_sentence_is_left_alone(sentence: str) -> None:
    """Its words and numbers are in the passages or the question; or it is too short or about the passages."""
    assert mark_unsupported(sentence, QUESTION, HITS) == sentence


@pytest.mark.parametrize(
    "sentence",
    [
        "Elephants usually celebrate Hogmanay loudly [1].",
        "Staff get 30 days of paid leave each calendar year [1].",
    ],
)
def test_unsupported_sentence_is_marked(sentence: str) -> None:
    """Foreign words, or a number that is nowhere."""
    assert mark_unsupported(sentence, QUESTION, HITS) == sentence + MARK


def test_only_the_unsupported_sentence_is_marked() -> None:
    """Line breaks and the other sentences stay as they are."""
    text = "- Staff get 27 days of paid leave. [1]\n- Staff get 99 days of paid leave. [1]\nAsk."
    marked = text.replace("\nAsk.", f"{MARK}\nAsk.")
    assert mark_unsupported(text, QUESTION, HITS) == marked
