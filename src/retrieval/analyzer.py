"""Cuts a text into tokens and tokens to their stems, as SQLite's `porter unicode61` does for the index of words."""

import re
import unicodedata
from functools import cache, lru_cache
from typing import Any

_COMPOUND = re.compile(r"\w+(?:[-'’./:@+]\w+)*")
_PIECE = re.compile(r"[^\W_]+")

_STOP_WORDS = """
a about after all am an and any are as at be because been before being both but by can could did do does doing each
else for from had has have having he her here hers him his how i if in into is it its itself just let may me might
more most must my no nor not of off on once only or our ours out over own please same shall she should so some such
than that the their theirs them then there these they this those through to too under until up us very was we were
what when where which while who whom whose why will with would you your yours s t d ll m re ve
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
_MIN_CUT = 3
_ASKING = "many much long often old far name called tell know give list please"


def split_compounds(text: str) -> list[tuple[str, ...]]:
    """Cut a text into words, each as its pieces: `max_requests` gives `("max", "requests")`; folded to lower case."""
    folded = unicodedata.normalize("NFC", text).lower()
    pieces = (tuple(_PIECE.findall(compound)) for compound in _COMPOUND.findall(folded))
    return [word for word in pieces if word]


def split_words(text: str) -> list[str]:
    """Cut a text into plain words, folded to lower case."""
    return _PIECE.findall(unicodedata.normalize("NFC", text).lower())


def content_stems(text: str) -> list[str]:
    """Return the stems of a text's words in their order, stop words left out; "expenses" and "expense" have one."""
    return [stem(word) for word in split_words(text) if word not in STOP_WORDS]


def question_stems(question: str) -> frozenset[str]:
    """Return the stems that a text which answers should hold; words that only ask are left out if others remain."""
    stems = frozenset(content_stems(question))
    return stems - _asking_stems() or stems


# An answer cuts 500 words, most of them again and again; 2,048 take 0.4 MB.
@lru_cache(maxsize=2048)
def stem(word: str) -> str:
    """Cut a word to its stem by Porter's rules; SQLite leaves one or two letters as they are, so this does too."""
    if len(word) < _MIN_CUT:
        return word
    stemmed: str = _stemmer().stemWord(word)
    return stemmed


@cache
def _asking_stems() -> frozenset[str]:
    return frozenset(map(stem, _ASKING.split()))


@cache
def _stemmer() -> Any:
    import Stemmer  # 0.8 MB and 1.5 ms: a bare app does without

    return Stemmer.Stemmer("porter", 0)
