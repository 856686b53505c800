"""BM25 over title, section and text with SQLite's FTS5: on disk, no memory of its own, no model.

The question's words are OR-ed. Words joined by a sign (`max_requests`, `on-call`) are also asked for side by side and
written as one. A word that no passage holds is replaced by the known words nearest to it (`word_rescue.py`).
"""

import json
import sqlite3
from collections import Counter

from src.records import Chunk, Filters
from src.retrieval.fusion import ScoredId
from src.retrieval.read_only_database import ReadOnlyDatabase
from src.retrieval.word_rescue import find_similar_words
from src.retrieval.words import STOP_WORDS, split_compounds, split_words

COLUMN_WEIGHTS = (2.0, 1.0, 1.0)  # title, section, text
MAX_WORDS = 100
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
    ))
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

    def search(self, query: str, limit: int, filters: Filters) -> list[ScoredId]:
        """Return up to `limit` chunks by BM25, best first; none where no word is known."""
        match = self._build_match(query)
        if not match:
            return []
        documents = json.dumps(filters.documents) if filters.documents else None
        rows = self._database.query(_SEARCH, (*COLUMN_WEIGHTS, match, documents, documents, limit))
        return [ScoredId(chunk_id, score) for chunk_id, score in rows]

    def _build_match(self, query: str) -> str:
        """Turn a question into an FTS5 expression of quoted words; no sign of the question is left in it.

        A word asked for twice counts twice, which matters to questions of several sentences.
        """
        words = split_compounds(query)
        asked = [pieces for pieces in words if len(pieces) > 1 or pieces[0] not in STOP_WORDS] or words
        replaced: dict[str, list[str]] = {}
        terms: list[str] = []
        for pieces in asked[:MAX_WORDS]:
            if len(pieces) > 1:
                terms += [" ".join(pieces), "".join(pieces)]
            for piece in pieces:
                if len(pieces) == 1 or piece not in STOP_WORDS:
                    terms += self._rescue(piece, replaced)
        return " OR ".join(f'"{term}"' for term in terms)

    def _rescue(self, word: str, replaced: dict[str, list[str]]) -> list[str]:
        """Return the word, or the known ones nearest to it where no passage holds it."""
        if word not in replaced:
            is_kept = len(replaced) - sum([word] == found for word, found in replaced.items()) >= MAX_RESCUED
            replaced[word] = [word] if is_kept or self._is_known(word) else find_similar_words(self._database, word)
        return replaced[word]

    def _is_known(self, word: str) -> bool:
        return bool(self._database.query("SELECT 1 FROM passages WHERE passages MATCH ? LIMIT 1", (f'"{word}"',)))
