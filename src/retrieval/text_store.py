"""Documents and chunks in `lexical.sqlite3`: the one place on disk that holds texts.

A document's text is stored once, in blocks; a chunk is a span of it. So a chunk of a large document is read without
reading the document. Sentence embeddings lie beside the chunks, so that an answer can weigh sentences without
embedding anything at serve time.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from src.records import Chunk, Document
from src.retrieval.lexical_index import LexicalWriter
from src.retrieval.read_only_database import ReadOnlyDatabase

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK_CHARS = 8192

_SCHEMA = """
CREATE TABLE documents (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, title TEXT NOT NULL, sha256 TEXT NOT NULL,
    page_starts TEXT NOT NULL, characters INTEGER NOT NULL, first_block INTEGER NOT NULL
);
CREATE TABLE blocks (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY, chunk_id TEXT NOT NULL UNIQUE, document INTEGER NOT NULL, section TEXT NOT NULL,
    page INTEGER, start INTEGER NOT NULL, end INTEGER NOT NULL, sentences TEXT NOT NULL
);
CREATE INDEX chunks_by_document ON chunks (document);
CREATE VIEW chunk_rows AS
    SELECT c.id, c.chunk_id, d.path, d.title, c.section, c.page, c.start, c.end, c.sentences, d.first_block
    FROM chunks c JOIN documents d ON d.id = c.document;
CREATE TABLE sentence_embeddings (chunk INTEGER PRIMARY KEY, int8_rows BLOB NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class DocumentEntry:
    """One line of the list of documents."""

    path: str
    title: str
    chunks: int
    characters: int


def create_text_store(
    path: Path, documents: Iterable[Document], chunks: Iterable[tuple[Chunk, NDArray[np.int8]]]
) -> None:
    """Write the whole file, word index included; the same input gives the same bytes.

    Args:
        documents: read before any chunk is taken, so texts are not all held in memory.
        chunks: each with its sentences' embeddings, int8 (sentences, dimension): 127 times the unit-norm rows, rounded.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN; {_SCHEMA}")
        document_ids = _insert_documents(connection, documents)
        words = LexicalWriter(connection)
        for rowid, (chunk, sentence_embeddings) in enumerate(chunks, start=1):
            where = (chunk.section, chunk.page)
            sentences = json.dumps(chunk.sentences, separators=(",", ":"))
            connection.execute(
                "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (rowid, chunk.chunk_id, document_ids[chunk.document], *where, chunk.start, chunk.end, sentences),
            )
            connection.execute("INSERT INTO sentence_embeddings VALUES (?, ?)", (rowid, sentence_embeddings.tobytes()))
            words.add(rowid, chunk)
        words.finish()
        connection.execute("COMMIT")
        connection.execute("VACUUM")


def _insert_documents(connection: sqlite3.Connection, documents: Iterable[Document]) -> dict[str, int]:
    document_ids: dict[str, int] = {}
    next_block = 0
    for number, document in enumerate(documents, start=1):
        text = document.text
        blocks = [text[at : at + BLOCK_CHARS] for at in range(0, len(text), BLOCK_CHARS)]
        page_starts = json.dumps(document.page_starts, separators=(",", ":"))
        about = (document.path, document.title, document.sha256, page_starts)
        connection.execute(
            "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?)", (number, *about, len(text), next_block)
        )
        connection.executemany("INSERT INTO blocks VALUES (?, ?)", enumerate(blocks, start=next_block))
        document_ids[document.path] = number
        next_block += len(blocks)
    return document_ids


class TextStore:
    """Reads documents and chunks; `database` is shared with the `LexicalIndex` of the same file."""

    def __init__(self, database: ReadOnlyDatabase) -> None:
        self.database = database

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a finished `lexical.sqlite3`."""
        return cls(ReadOnlyDatabase(path))

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def get_chunks(self, chunk_ids: Sequence[str]) -> list[Chunk]:
        """Return the chunks in the order asked; unknown ids are left out."""
        rows = self.database.query(
            "SELECT * FROM chunk_rows WHERE chunk_id IN (SELECT value FROM json_each(?))", (json.dumps(chunk_ids),)
        )
        by_id = {row[1]: row for row in rows}
        return [self._to_chunk(by_id[chunk_id]) for chunk_id in chunk_ids if chunk_id in by_id]

    def get_chunks_of(self, path: str) -> list[Chunk]:
        """Return a document's chunks in their order; none for an unknown path."""
        rows = self.database.query("SELECT * FROM chunk_rows WHERE path = ? ORDER BY id", (path,))
        return [self._to_chunk(row) for row in rows]

    def get_sentence_embeddings(self, chunk_id: str) -> NDArray[np.int8]:
        """Return (sentences, dimension) int8: 127 times the unit-norm rows, rounded.

        Raises:
            KeyError: there is no such chunk.
        """
        import numpy as np

        rows = self.database.query(
            "SELECT c.sentences, e.int8_rows FROM chunks c JOIN sentence_embeddings e ON e.chunk = c.id "
            "WHERE c.chunk_id = ?",
            (chunk_id,),
        )
        if not rows:
            raise KeyError(chunk_id)
        sentences = len(json.loads(rows[0][0]))
        return np.frombuffer(rows[0][1], dtype=np.int8).reshape(sentences, -1 if sentences else 0)

    def get_sentences_of(self, chunk_ids: Sequence[str], dimension: int) -> dict[str, NDArray[np.int8]]:
        """Return the sentences' embeddings of several chunks in the order asked; those without any are left out."""
        import numpy as np

        rows = self.database.query(
            "SELECT c.chunk_id, e.int8_rows FROM json_each(?) j JOIN chunks c ON c.chunk_id = j.value "
            "JOIN sentence_embeddings e ON e.chunk = c.id WHERE length(e.int8_rows) > 0 ORDER BY j.key",
            (json.dumps(chunk_ids),),
        )
        return {chunk_id: np.frombuffer(blob, dtype=np.int8).reshape(-1, dimension) for chunk_id, blob in rows}

    def get_headings(self, chunk_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Return title and section of each chunk."""
        rows = self.database.query(
            "SELECT chunk_id, title, section FROM chunk_rows WHERE chunk_id IN (SELECT value FROM json_each(?))",
            (json.dumps(chunk_ids),),
        )
        return {chunk_id: (title, section) for chunk_id, title, section in rows}

    def read_text(self, path: str, start: int, end: int) -> str:
        """Return a document's text from `start` to `end`; nothing for an unknown path."""
        rows = self.database.query("SELECT first_block FROM documents WHERE path = ?", (path,))
        return self._read_text(rows[0][0], start, end) if rows else ""

    def list_documents(self, limit: int, offset: int) -> tuple[tuple[DocumentEntry, ...], int]:
        """Return one page of the documents in the order they were built, and how many there are."""
        rows = self.database.query(
            "SELECT d.path, d.title, (SELECT count(*) FROM chunks c WHERE c.document = d.id), d.characters "
            "FROM documents d ORDER BY d.id LIMIT ? OFFSET ?",
            (limit, offset),
        )
        total = self.database.query("SELECT count(*) FROM documents")[0][0]
        return tuple(DocumentEntry(*row) for row in rows), total

    def get_document(self, path: str) -> Document | None:
        """Return a document with its whole text; None for an unknown path."""
        rows = self.database.query(
            "SELECT path, title, sha256, page_starts, characters, first_block FROM documents WHERE path = ?", (path,)
        )
        if not rows:
            return None
        name, title, sha256, page_starts, characters, first_block = rows[0]
        text = self._read_text(first_block, 0, characters)
        return Document(name, title, text, sha256, tuple(json.loads(page_starts)))

    def _to_chunk(self, row: tuple[Any, ...]) -> Chunk:
        _, chunk_id, document, title, section, page, start, end, sentences, first_block = row
        text = self._read_text(first_block, start, end)
        spans = tuple((first, last) for first, last in json.loads(sentences))
        return Chunk(chunk_id, document, title, section, page, text, start, end, spans)

    def _read_text(self, first_block: int, start: int, end: int) -> str:
        first, last = start // BLOCK_CHARS, end // BLOCK_CHARS
        rows = self.database.query(
            "SELECT text FROM blocks WHERE id BETWEEN ? AND ? ORDER BY id", (first_block + first, first_block + last)
        )
        text = "".join(block for (block,) in rows)
        return text[start - first * BLOCK_CHARS : end - first * BLOCK_CHARS]
