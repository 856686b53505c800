"""A question as it is searched for: without courtesies and final signs, and with one slip in a word put right.

A word is right if a chunk holds it or the model knows it as a whole. One that neither knows is replaced by the word one
slip away that most chunks hold, or else by the one that the model has met most often.
"""

import json
import re
from collections.abc import Callable, Iterator
from string import ascii_lowercase

from src.retrieval.analyzer import fold
from src.retrieval.text_store import TextStore

MIN_LETTERS = 4
MAX_LETTERS = 20

_WORD = re.compile(r"[^\W\d_]+")
_OPENING = re.compile(
    r"\s*(?:(?:hi|hello|hey|dear all|please|pls|sorry|excuse me)\b(?![-'’])[\s,.!:]*)+", re.IGNORECASE
)
_CLOSING = re.compile(
    r"(?:[\s,.!?]*\b(?:please|pls|(?:thanks(?: a lot)?|thank you(?: very much)?)(?: in advance)?|thx|cheers))+"
    r"[\s.!?]*\Z",
    re.IGNORECASE,
)


def clean_question(question: str) -> str:
    """Leave out what only is polite, and signs at the end; a question that is nothing else stays as it is."""
    text = " ".join(question.split())
    opening = _OPENING.match(text)
    inner = text[opening.end() :] if opening else text
    # Looked for in the end alone, so that a long question costs no more than a short one.
    inner = inner[:-60] + _CLOSING.sub("", inner[-60:])
    return inner.strip(" ?!.,;:…") or text


def correct_slips(question: str, texts: TextStore, find_token: Callable[[str], int | None]) -> str:
    """Put right the words that hold one slip: a letter that is missing, wrong, too much, or changed with the next one.

    Args:
        find_token: as `Encoder.find_token`.
    """
    words = {word.lower() for word in _WORD.findall(question) if MIN_LETTERS <= len(word) <= MAX_LETTERS}
    held = _count(texts, {fold(word) for word in words}).keys()
    unknown = [word for word in words if fold(word) not in held and find_token(word) is None]
    corrected = {word: right for word in unknown if (right := _correct(word, texts, find_token))}
    return _WORD.sub(lambda match: corrected.get(match[0].lower(), match[0]), question) if corrected else question


def _correct(word: str, texts: TextStore, find_token: Callable[[str], int | None]) -> str | None:
    candidates = set(_one_slip_away(word))
    counts = _count(texts, candidates)
    if counts:
        return max(sorted(counts), key=counts.__getitem__)
    tokens = {candidate: token for candidate in candidates if (token := find_token(candidate)) is not None}
    return min(sorted(tokens), key=tokens.__getitem__, default=None)


def _count(texts: TextStore, words: set[str]) -> dict[str, int]:
    """Return how many chunks hold each of these words; words that none holds are left out."""
    sql = "SELECT word, passages FROM words WHERE word IN (SELECT value FROM json_each(?))"
    return dict(texts.query(sql, (json.dumps(sorted(words)),)))


def _one_slip_away(word: str) -> Iterator[str]:
    # P. Norvig, How to write a spelling corrector, 2007.
    for at in range(len(word) + 1):
        left, right = word[:at], word[at:]
        if right:
            yield left + right[1:]
        if len(right) > 1:
            yield left + right[1] + right[0] + right[2:]
        for letter in ascii_lowercase:
            yield left + letter + right
            if right:
                yield left + letter + right[1:]
