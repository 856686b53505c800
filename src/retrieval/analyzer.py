"""Cuts a text into tokens and tokens to their stems, as SQLite's `porter unicode61` does for the index of words.

Case and accents are folded in every script. Chinese, Japanese, Korean and Thai put no blanks between their words, or
join particles to them: their text is cut into pairs of adjacent letters, at build and in the question alike. Words of
other languages than English are cut by their own stemmers before.
"""

import re
import unicodedata
from functools import cache, lru_cache
from typing import Any

_COMPOUND = re.compile(r"\w+(?:[-'’./:@+]\w+)*")
_PIECE = re.compile(r"[^\W_]+")
# Bounded, like a word, because its folded form is remembered.
_NOT_ASCII = re.compile(r"[^\x00-\x7f]{1,256}")
MAX_WORD_LETTERS = 128
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
_UNSPACED_RUN = re.compile(f"[{_UNSPACED}\U00020000-\U0003ffff]+")
_SCRIPT_RUN = re.compile(f"{_UNSPACED_RUN.pattern}|[^{_UNSPACED}\U00020000-\U0003ffff]+")

_STOP_WORDS = """
a about after all am an and any are as at be because been before being both but by can could did do does doing each
else for from had has have having he her here hers him his how i if in into is it its itself just let may me might
more most must my no nor not of off on once only or our ours out over own please same shall she should so some such
than that the their theirs them then there these they this those through to too under until up us very was we were
what when where which while who whom whose why will with would you your yours s t d ll m re ve
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
# Snowball's stemmers by ISO 639-1 code, for languages with other endings than English. Those that write vowels as marks
# are not here: folding leaves the marks out.
STEMMERS = {
    **{"ar": "arabic", "ca": "catalan", "da": "danish", "de": "german", "es": "spanish", "et": "estonian"},
    **{"eu": "basque", "fi": "finnish", "fr": "french", "ga": "irish", "hu": "hungarian", "id": "indonesian"},
    **{"it": "italian", "lt": "lithuanian", "nb": "norwegian", "nl": "dutch", "no": "norwegian", "pt": "portuguese"},
    **{"ro": "romanian", "ru": "russian", "sv": "swedish", "tr": "turkish"},
}
_MIN_CUT = 3
_UNHEARD = frozenset({"Mn", "Cf"})  # accents and vowel marks; what joins, parts or turns letters
_ASKING = "many much long often old far name called tell know give list please"


def split_compounds(text: str) -> list[tuple[str, ...]]:
    """Cut a text into words, each as its pieces: `max_requests` gives `("max", "requests")`; folded to lower case."""
    pieces = (tuple(_cut(compound)) for compound in _COMPOUND.findall(fold(text)))
    return [word for word in pieces if word]


def split_words(text: str) -> list[str]:
    """Cut a text into plain words, folded to lower case."""
    return _cut(fold(text))


def fold(text: str) -> str:
    """Make letters small, and leave out accents and what nobody sees."""
    return _NOT_ASCII.sub(lambda run: _fold_run(run[0]), text).casefold()


def to_index(text: str, language: str = "") -> str:
    """Give a text as the index of words takes it in: words of a language with endings of its own as their stems.

    Args:
        language: ISO 639-1 code.
    """
    if language in STEMMERS:
        return " ".join(_stemmer(STEMMERS[language]).stemWords(split_words(text)))
    if text.isascii():
        return text
    return _UNSPACED_RUN.sub(lambda run: f" {' '.join(_pairs(run[0]))} ", fold(text))


@lru_cache(maxsize=1024)
def _fold_run(run: str) -> str:
    letters = unicodedata.normalize("NFKD", run)
    return unicodedata.normalize("NFC", "".join(sign for sign in letters if unicodedata.category(sign) not in _UNHEARD))


def _cut(folded: str) -> list[str]:
    words = [word[:MAX_WORD_LETTERS] for word in _PIECE.findall(folded)]
    if folded.isascii():
        return words
    runs = [run for word in words for run in _SCRIPT_RUN.findall(word)]
    return [word for run in runs for word in (_pairs(run) if _UNSPACED_RUN.match(run) else [run])]


def _pairs(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(len(run) - 1)] or [run]


def content_stems(text: str) -> list[str]:
    """Return the stems of a text's words in their order, stop words left out; "expenses" and "expense" have one."""
    return [stem(word) for word in split_words(text) if word not in STOP_WORDS]


def question_stems(question: str) -> frozenset[str]:
    """Return the stems that a text which answers should hold; words that only ask are left out if others remain."""
    stems = frozenset(content_stems(question))
    return stems - _asking_stems() or stems


def share_words(question: str, text: str) -> float:
    """Return which share of the question's stems a text holds."""
    wanted = question_stems(question)
    return len(wanted.intersection(content_stems(text))) / max(1, len(wanted))


# An answer cuts 500 words, most of them again and again; 2,048 take 0.4 MB.
@lru_cache(maxsize=2048)
def stem(word: str) -> str:
    """Cut a word to its stem by Porter's rules; SQLite leaves one or two letters as they are, so this does too."""
    if len(word) < _MIN_CUT:
        return word
    stemmed: str = _stemmer("porter").stemWord(word)
    return stemmed


@lru_cache(maxsize=1024)
def other_stems(word: str, languages: tuple[str, ...]) -> tuple[str, ...]:
    """Return a word's stems in these languages that Porter's rules do not make alike; the index cuts all by those."""
    stems = {_stemmer(STEMMERS[language]).stemWord(word) for language in languages}
    return tuple(sorted(other for other in stems if stem(other) != stem(word)))


@cache
def _asking_stems() -> frozenset[str]:
    return frozenset(map(stem, _ASKING.split()))


@cache
def _stemmer(name: str) -> Any:
    import Stemmer  # 0.8 MB and 1.5 ms: a bare app does without

    return Stemmer.Stemmer(name, 0)
