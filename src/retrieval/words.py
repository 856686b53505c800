"""What counts as a word in a question and in the list of known words: as SQLite's unicode61 cuts, before stemming."""

import re
import unicodedata

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


def split_compounds(text: str) -> list[tuple[str, ...]]:
    """Cut a text into words, each as its pieces: `max_requests` gives `("max", "requests")`; folded to lower case."""
    folded = unicodedata.normalize("NFC", text).lower()
    pieces = (tuple(_PIECE.findall(compound)) for compound in _COMPOUND.findall(folded))
    return [word for word in pieces if word]


def split_words(text: str) -> list[str]:
    """Cut a text into plain words, folded to lower case."""
    return _PIECE.findall(unicodedata.normalize("NFC", text).lower())
