"""The words that carry a text's meaning, cut to their stems, so that "expenses" meets "expense"."""

from functools import lru_cache

from src.retrieval.words import STOP_WORDS, split_words

_ASKING = frozenset(
    ["many", "much", "long", "often", "old", "far", "name", "called", "tell", "know", "give", "list", "please"]
)
_SUFFIXES = ("ingly", "edly", "ings", "ing", "ies", "ied", "ed", "es", "ly", "s", "e", "y")
_MIN_STEM = 3


def content_stems(text: str) -> list[str]:
    """Return the stems of a text's words in their order, stop words left out."""
    return [_stem(word) for word in split_words(text) if word not in STOP_WORDS]


def question_stems(question: str) -> frozenset[str]:
    """Return the stems a passage that answers should hold; words that only ask are left out if others remain."""
    stems = frozenset(content_stems(question))
    return stems - _ASKING or stems


# An answer cuts 500 words, most of them again and again; 2,048 take 0.4 MB.
@lru_cache(maxsize=2048)
def _stem(word: str) -> str:
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _MIN_STEM and not word.endswith("ss"):
            return word[: -len(suffix)]
    return word
