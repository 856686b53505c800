"""Chunks ranked by the words they share with a question: BM25 over title, section and text, with SQLite's FTS5.

It lies on disk, takes no memory of its own and needs no model. `query_terms.py` reads the question.
"""

import json

from src.records import Filters
from src.retrieval.query_terms import choose_terms, match_any, read_terms
from src.retrieval.ranking import ScoredId
from src.retrieval.text_store import TextStore

COLUMN_WEIGHTS = (2.0, 1.0, 1.0)  # title, section, text

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


class LexicalIndex:
    """Ranks chunks by BM25."""

    def __init__(self, texts: TextStore) -> None:
        self._texts = texts
        self._chunks: int = texts.query("SELECT coalesce(max(id), 0) FROM chunks")[0][0]

    def search(self, query: str, limit: int, filters: Filters) -> list[ScoredId]:
        """Return up to `limit` chunks, best first; none where no word is known."""
        terms = read_terms(self._texts, query)
        if not terms:
            return []
        choice = choose_terms(terms, self._chunks, enough=limit)
        documents = json.dumps(filters.documents) if filters.documents else None
        # The chunks with the weightiest terms may all be in other documents; and a filter leaves few to score.
        required = match_any(choice.required) if choice.required and not documents else None
        narrowing = (documents, documents, required, required)
        rows = self._texts.query(_SEARCH, (*COLUMN_WEIGHTS, match_any(choice.weighed), *narrowing, limit))
        return [ScoredId(chunk_id, score) for chunk_id, score in rows]
