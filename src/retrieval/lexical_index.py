"""BM25 over title, section and text with SQLite's FTS5: on disk, no memory of its own, no model.

The question's words are OR-ed. Words joined by a sign (`max_requests`, `on-call`) are also asked for side by side and
written as one. A word that no passage holds is replaced by the known words nearest to it (`word_rescue.py`). Of a long
question the weightiest words are asked for (`word_choice.py`).
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable

from src.records import Chunk, Filters
from src.retrieval.fusion import ScoredId
from src.retrieval.read_only_database import ReadOnlyDatabase
from src.retrieval.word_choice import AskedWord, choose_words
from src.retrieval.word_rescue import find_similar_words
from src.retrieval.words import STOP_WORDS, split_compounds, split_words

COLUMN_WEIGHTS = (2.0, 1.0, 1.0)  # title, section, text
MAX_READ_WORDS = 100
MAX_RESCUED = 3

_SCHEMA = """
CREATE VIRTUAL TABLE passages USING fts5(
    title, section, text, content='', tokenize="porter unicode61 remove_diacritics 2"
);
CREATE TABLE words (word TEXT PRIMARY KEY, passages INTEGER NOT NULL) WITHOUT ROWID;
"""


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


class LexicalWriter:
    """Fills the word index of a `lexical.sqlite3` that is being built."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._counts: Counter[str] = Counter()
        for statement in _SCHEMA.split(";")[:-1]:
            connection.execute(statement)

    def add(self, rowid: int, chunk: Chunk) -> None:
        """Index one chunk under its row in the `chunks` table."""
        fields = (chunk.title, chunk.section, chunk.text)
        self._connection.execute(
            "INSERT INTO passages (rowid, title, section, text) VALUES (?, ?, ?, ?)", (rowid, *fields)
        )
        self._counts.update(set(split_words("\n".join(fields))))

    def finish(self) -> None:
        """Write the known words and merge the index into one segment."""
        self._connection.executemany("INSERT INTO words VALUES (?, ?)", sorted(self._counts.items()))
        self._connection.execute("INSERT INTO passages (passages) VALUES ('optimize')")


class LexicalIndex:
    """Ranks chunks by the words they share with a question."""

    def __init__(self, database: ReadOnlyDatabase) -> None:
        self._database = database
        self._passages: int = database.query("SELECT coalesce(max(id), 0) FROM chunks")[0][0]

    def search(self, query: str, limit: int, filters: Filters) -> list[ScoredId]:
        """Return up to `limit` chunks by BM25, best first; none where no word is known."""
        asked = self._read_question(query)
        if not asked:
            return []
        choice = choose_words(asked, self._passages, enough=limit)
        documents = json.dumps(filters.documents) if filters.documents else None
        # The passages with the weightiest words may all be in other documents; and a filter leaves few to look at.
        sought = _any_of(choice.sought) if choice.sought and not documents else None
        narrowing = (documents, documents, sought, sought)
        rows = self._database.query(_SEARCH, (*COLUMN_WEIGHTS, _any_of(choice.weighed), *narrowing, limit))
        return [ScoredId(chunk_id, score) for chunk_id, score in rows]

    def _read_question(self, query: str) -> list[AskedWord]:
        """Cut a question into words and phrases that some passage holds.

        A word asked for twice counts twice, which matters to questions of several sentences.
        """
        words = split_compounds(query)
        asked = [pieces for pieces in words if len(pieces) > 1 or pieces[0] not in STOP_WORDS] or words
        plain: Counter[str] = Counter()
        compounds: Counter[str] = Counter()
        for pieces in asked[:MAX_READ_WORDS]:
            if len(pieces) > 1:
                compounds.update((" ".join(pieces), "".join(pieces)))
            plain.update(piece for piece in pieces if len(pieces) == 1 or piece not in STOP_WORDS)
        held = {term: self._count_passages(term) for term in plain | compounds}
        for word in [word for word in plain if not held[word]][:MAX_RESCUED]:
            for similar in find_similar_words(self._database, word):
                plain[similar] += plain[word]
                held[similar] = self._count_passages(similar)
        return [AskedWord(term, times, held[term]) for term, times in (plain + compounds).items() if held[term]]

    def _count_passages(self, term: str) -> int:
        """Count the passages that hold a word, in any form, or a phrase."""
        sql = "SELECT count(*) FROM passages WHERE passages MATCH ?"
        return int(self._database.query(sql, (_any_of([term]),))[0][0])


def _any_of(terms: Iterable[str]) -> str:
    """Write an FTS5 expression of quoted words; no sign of the question is left in it."""
    return " OR ".join(f'"{term}"' for term in terms)
