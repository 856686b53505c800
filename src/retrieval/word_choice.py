"""Which words of a question are asked for, so that a long one costs little more than a short one.

BM25 is worked out for every passage that holds any word of the question, and each time over all its words: a question
of a paragraph asks for 70 words and meets two passages in three. So the words that count least are left out, and only
passages with one of those that count most are looked at, as in MaxScore (Turtle and Flood, Query evaluation, 1995).
The measurements are in `docs/decisions/0007-passages-and-precision.md`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

MAX_WORDS = 40
# Passages looked at: a tenth of all, and as many as this in any case.
LOOKED_AT_SHARE = 0.1
MIN_LOOKED_AT = 1000


@dataclass(frozen=True, slots=True)
class AskedWord:
    """A word or a phrase of a question: how often it is asked for, and how many passages hold it, one at least."""

    text: str
    times: int
    passages: int


@dataclass(frozen=True, slots=True)
class Choice:
    """What to ask for.

    Args:
        weighed: a passage's score is over these, each as often as the question asks for it.
        sought: only passages with one of these are looked at; None: those with any word.
    """

    weighed: tuple[str, ...]
    sought: tuple[str, ...] | None


def choose_words(asked: Sequence[AskedWord], passages: int, enough: int) -> Choice:
    """Choose from a question's words.

    Args:
        passages: how many there are.
        enough: so many must be looked at, even if only a word that most passages hold can bring them.
    """
    weightiest = sorted(asked, key=lambda word: word.times * _idf(word, passages), reverse=True)[:MAX_WORDS]
    budget = max(MIN_LOOKED_AT, int(LOOKED_AT_SHARE * passages))
    sought: list[AskedWord] = []
    skipped: list[AskedWord] = []
    looked_at = 0
    for word in weightiest:
        if looked_at + word.passages <= budget:
            sought.append(word)
            looked_at += word.passages
        else:
            skipped.append(word)
    while skipped and looked_at < enough:
        sought.append(skipped.pop(0))
        looked_at += sought[-1].passages
    weighed = tuple(word.text for word in weightiest for _ in range(word.times))
    return Choice(weighed, tuple(word.text for word in sought) if skipped else None)


def _idf(word: AskedWord, passages: int) -> float:
    """Inverse document frequency as FTS5 has it, which never lets a word count against a passage."""
    ratio = (passages - word.passages + 0.5) / (word.passages + 0.5)
    return math.log(ratio) if ratio > 1 else 1e-6
