"""Chunks ranked by the words they share with a question: BM25 over title, section and text, with SQLite's FTS5.

It lies on disk, takes no memory of its own and needs no model. A *term* is a token or a phrase that some chunk holds.
Tokens joined by a sign (`max_requests`, `on-call`) are also asked for side by side and written as one.
"""

import json
import math
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from src.records import Filters
from src.retrieval.analyzer import STEMMERS, STOP_WORDS, other_stems, split_compounds
from src.retrieval.ranking import ScoredId
from src.retrieval.text_store import TextStore

COLUMN_WEIGHTS = (2.0, 1.0, 1.0)  # title, section, text
MAX_READ_WORDS = 100
MAX_REPLACED = 3
MIN_LETTERS, MAX_LETTERS = 4, 40
MAX_KNOWN = 3
MAX_TERMS = 40
# Chunks to score: a tenth of all, and as many as this in any case.
SCORED_SHARE = 0.1
MIN_SCORED = 1000

_LAST_LETTER = chr(sys.maxunicode)

_SEARCH = """
SELECT c.chunk_id, -r.score
FROM (
    SELECT p.rowid AS id, bm25(passages, ?, ?, ?) AS score
    FROM passages p
    WHERE passages MATCH ? AND (? IS NULL OR p.rowid IN (
        SELECT c.id FROM chunks c JOIN documents d ON d.id = c.document
        WHERE d.path IN (SELECT value FROM json_each(?))
    )) AND (? IS NULL OR p.rowid IN (SELECT rowid FROM passages WHERE passages MATCH ?))
    ORDER BY score, p.rowid LIMIT ?
) r JOIN chunks c ON c.id = r.id
ORDER BY r.score, r.id
"""


@dataclass(frozen=True, slots=True)
class Term:
    """A token or a phrase of a question: how often it is asked for, and how many chunks hold it, one at least."""

    text: str
    times: int
    chunks: int


@dataclass(frozen=True, slots=True)
class TermChoice:
    """What to search by.

    Args:
        weighed: a chunk's score is over these, each as often as the question asks for it.
        required: only chunks with one of these are scored; None: those with any term.
    """

    weighed: tuple[str, ...]
    required: tuple[str, ...] | None


class LexicalIndex:
    """Ranks chunks by BM25.

    Args:
        languages: that the documents are in, as ISO 639-1 codes.
    """

    def __init__(self, texts: TextStore, languages: Iterable[str] = ()) -> None:
        self._texts = texts
        self._languages = tuple(language for language in languages if language in STEMMERS)
        self._chunks: int = texts.query("SELECT coalesce(max(id), 0) FROM chunks")[0][0]

    def search(self, query: str, limit: int, filters: Filters) -> list[ScoredId]:
        """Return up to `limit` chunks, best first; none where no word is known."""
        terms = read_terms(self._texts, query, self._languages)
        if not terms:
            return []
        choice = choose_terms(terms, self._chunks, enough=limit)
        documents = json.dumps(filters.documents) if filters.documents else None
        # The chunks with the weightiest terms may all be in other documents; and a filter leaves few to score.
        required = match_any(choice.required) if choice.required and not documents else None
        narrowing = (documents, documents, required, required)
        rows = self._texts.query(_SEARCH, (*COLUMN_WEIGHTS, match_any(choice.weighed), *narrowing, limit))
        return [ScoredId(chunk_id, score) for chunk_id, score in rows]


def match_any(terms: Iterable[str]) -> str:
    """Write an FTS5 expression of quoted terms; no sign of the question is left in it."""
    return " OR ".join(f'"{term}"' for term in terms)


def read_terms(texts: TextStore, query: str, languages: tuple[str, ...] = ()) -> list[Term]:
    """Cut a question into terms; a word that no chunk holds brings known words in its place.

    A word asked for twice counts twice, which matters to questions of several sentences.

    Args:
        languages: whose stems of a word are asked for beside it.
    """
    words = split_compounds(query)
    asked = [pieces for pieces in words if len(pieces) > 1 or pieces[0] not in STOP_WORDS] or words
    tokens: Counter[str] = Counter()
    compounds: Counter[str] = Counter()
    for pieces in asked[:MAX_READ_WORDS]:
        if len(pieces) > 1:
            compounds.update((" ".join(pieces), "".join(pieces)))
        tokens.update(piece for piece in pieces if len(pieces) == 1 or piece not in STOP_WORDS)
    stems = {token: other_stems(token, languages) for token in tokens}
    for token, others in stems.items():
        tokens |= Counter(dict.fromkeys(others, tokens[token]))
    held = {text: _count_chunks(texts, text) for text in tokens | compounds}
    unheld = [token for token, others in stems.items() if not any(held[text] for text in (token, *others))]
    for unknown in unheld[:MAX_REPLACED]:
        for known in find_known_words(texts, unknown):
            tokens[known] += tokens[unknown]
            held[known] = _count_chunks(texts, known)
    return [Term(text, times, held[text]) for text, times in (tokens + compounds).items() if held[text]]


def choose_terms(terms: Sequence[Term], chunks: int, enough: int) -> TermChoice:
    """Choose from a question's terms, so that a long one costs little more than a short one.

    BM25 is worked out for every chunk that holds any term, and each time over all terms: a question of a paragraph has
    70 terms and meets two chunks in three. So the terms that count least are left out, and only chunks with one of
    those that count most are scored, as in MaxScore (Turtle and Flood, Query evaluation, 1995). The measurements are in
    `docs/decisions/0007-passages-and-precision.md`.

    Args:
        chunks: how many there are in the index.
        enough: score at least this many chunks, even if only a term that most chunks hold can bring them.
    """
    weightiest = sorted(terms, key=lambda term: term.times * _idf(term, chunks), reverse=True)[:MAX_TERMS]
    budget = max(MIN_SCORED, int(SCORED_SHARE * chunks))
    required: list[Term] = []
    skipped: list[Term] = []
    scored = 0
    for term in weightiest:
        if scored + term.chunks <= budget:
            required.append(term)
            scored += term.chunks
        else:
            skipped.append(term)
    while skipped and scored < enough:
        required.append(skipped.pop(0))
        scored += required[-1].chunks
    weighed = tuple(term.text for term in weightiest for _ in range(term.times))
    return TermChoice(weighed, tuple(term.text for term in required) if skipped else None)


def find_known_words(texts: TextStore, word: str) -> list[str]:
    """Return what to ask for instead of an unknown word: two known ones written as one, or words that begin so."""
    if not MIN_LETTERS <= len(word) <= MAX_LETTERS or word.isdigit():
        return []
    halves = _split_in_two(texts, word)
    if halves:
        return [halves]
    rows = texts.query(
        "SELECT word FROM words WHERE word >= ? AND word < ? ORDER BY passages DESC, word LIMIT ?",
        (word, word + _LAST_LETTER, MAX_KNOWN),
    )
    return [row[0] for row in rows]


def _split_in_two(texts: TextStore, word: str) -> str:
    """Return the most frequent split of a word into two known ones, such as `on call`; "" where there is none."""
    splits = [(word[:at], word[at:]) for at in range(2, len(word) - 1)]
    sql = "SELECT min(passages) FROM words WHERE word IN (?, ?) HAVING count(*) = 2"
    found = [
        (rows[0][0], f"{first} {second}") for first, second in splits if (rows := texts.query(sql, (first, second)))
    ]
    return max(found, default=(0, ""))[1]


def _count_chunks(texts: TextStore, term: str) -> int:
    """Count the chunks that hold a word, in any form, or a phrase."""
    sql = "SELECT count(*) FROM passages WHERE passages MATCH ?"
    return int(texts.query(sql, (match_any([term]),))[0][0])


def _idf(term: Term, chunks: int) -> float:
    """Inverse document frequency as FTS5 has it, which never lets a term count against a chunk."""
    ratio = (chunks - term.chunks + 0.5) / (term.chunks + 0.5)
    return math.log(ratio) if ratio > 1 else 1e-6
