"""Known words near one that no passage holds: typing mistakes, beginnings of words, two words written as one."""

import sys
from difflib import get_close_matches

from src.retrieval.read_only_database import ReadOnlyDatabase

MIN_LETTERS = 4
SIMILARITY = 0.8  # difflib's ratio: one wrong letter in five still passes
MAX_SIMILAR = 3

_LAST_LETTER = chr(sys.maxunicode)


def find_similar_words(database: ReadOnlyDatabase, word: str) -> list[str]:
    """Return what to ask for instead of an unknown word, best first: known words, or two of them side by side.

    Only words that begin with the same letter and are about as long are compared, which keeps it cheap.
    """
    if len(word) < MIN_LETTERS or word.isdigit():
        return []
    halves = _split_in_two(database, word)
    if halves:
        return [halves]
    rows = database.query(
        "SELECT word FROM words WHERE word >= ? AND word < ? ORDER BY passages DESC, word LIMIT ?",
        (word, word + _LAST_LETTER, MAX_SIMILAR),
    )
    beginnings: list[str] = [row[0] for row in rows]
    return beginnings or get_close_matches(word, _alike(database, word), n=MAX_SIMILAR, cutoff=SIMILARITY)


def _alike(database: ReadOnlyDatabase, word: str) -> list[str]:
    """Return words of which enough letters are among the word's: difflib counts only those, and takes long to count."""
    rows = database.query(
        "SELECT word FROM words WHERE word >= ? AND word < ? AND length(word) BETWEEN ? AND ?",
        (word[0], chr(ord(word[0]) + 1), len(word) - 2, len(word) + 2),
    )
    letters = dict.fromkeys(map(ord, word))
    return [
        known
        for (known,) in rows
        if 2 * (len(known) - len(known.translate(letters))) >= SIMILARITY * (len(word) + len(known))
    ]


def _split_in_two(database: ReadOnlyDatabase, word: str) -> str:
    """Return the most frequent split of a word into two known ones, such as `on call`; "" where there is none."""
    splits = [(word[:at], word[at:]) for at in range(2, len(word) - 1)]
    sql = "SELECT min(passages) FROM words WHERE word IN (?, ?) HAVING count(*) = 2"
    found = [
        (rows[0][0], f"{first} {second}") for first, second in splits if (rows := database.query(sql, (first, second)))
    ]
    return max(found, default=(0, ""))[1]
