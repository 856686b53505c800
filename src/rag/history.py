"""What an earlier conversation adds to a question: the words a follow-up leaves out."""

import re
from collections.abc import Sequence

from src.records import Turn
from src.retrieval.analyzer import question_stems

# About 1,000 tokens of English.
MAX_HISTORY_CHARS = 4000
MAX_EARLIER_QUESTIONS = 2
MAX_EARLIER_CHARS = 400
# A question of fewer meaningful words than this hardly stands alone.
MIN_STEMS = 3

_OPENS_AS_FOLLOW_UP = re.compile(
    r"\s*(?:and|but|or|so|also|then|what about|how about|what if|why|why not|same for|else)\b", re.IGNORECASE
)
_POINTS_BACK = re.compile(
    r"\b(?:it|its|they|them|their|theirs|he|him|his|she|her|that|those|this|these|there|one|ones|same|such|former|"
    r"latter|instead|otherwise)\b",
    re.IGNORECASE,
)


def bound_history(history: Sequence[Turn], max_chars: int = MAX_HISTORY_CHARS) -> tuple[Turn, ...]:
    """Keep the newest turns that fit, oldest dropped first."""
    kept: list[Turn] = []
    room = max_chars
    for turn in reversed(history):
        room -= len(turn.content)
        if room < 0:
            break
        kept.append(turn)
    return tuple(reversed(kept))


def is_follow_up(question: str) -> bool:
    """Guess whether a question needs what was said before it."""
    points_back = _OPENS_AS_FOLLOW_UP.match(question) or _POINTS_BACK.search(question)
    return bool(points_back) or len(question_stems(question)) < MIN_STEMS


def add_context(question: str, history: Sequence[Turn]) -> str:
    """Return what to search for: a follow-up with the user's questions before it, any other question as it is.

    Earlier questions are taken until one stands alone, so that a chain of follow-ups reaches back to its subject.
    """
    if not is_follow_up(question):
        return question
    earlier: list[str] = []
    for turn in reversed(history):
        if turn.role != "user":
            continue
        earlier.append(turn.content[:MAX_EARLIER_CHARS])
        if len(earlier) == MAX_EARLIER_QUESTIONS or not is_follow_up(turn.content):
            break
    return " ".join([*reversed(earlier), question])
