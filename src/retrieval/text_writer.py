"""Writes `lexical.sqlite3` at build: documents and chunks, the words to search by, the sentences' embeddings."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from src.records import Chunk, Document
from src.retrieval.analyzer import split_words, to_index
from src.retrieval.text_store import BLOCK_CHARS, WEB_ADDRESSES, TextStore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SCHEMA = """
CREATE TABLE documents (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, title TEXT NOT NULL, sha256 TEXT NOT NULL,
    characters INTEGER NOT NULL, first_block INTEGER NOT NULL
);
CREATE TABLE blocks (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY, chunk_id TEXT NOT NULL UNIQUE, document INTEGER NOT NULL, section TEXT NOT NULL,
    page INTEGER, start INTEGER NOT NULL, end INTEGER NOT NULL, sentences TEXT NOT NULL, lead TEXT NOT NULL
);
CREATE TABLE links (
    document INTEGER, start INTEGER, end INTEGER NOT NULL, target TEXT NOT NULL, PRIMARY KEY (document, start)
) WITHOUT ROWID;
CREATE INDEX chunks_by_document ON chunks (document);
CREATE VIEW chunk_rows AS
    SELECT c.id, c.chunk_id, d.path, d.title, c.section, c.page, c.start, c.end, c.sentences, c.lead, d.first_block
    FROM chunks c JOIN documents d ON d.id = c.document;
CREATE TABLE sentence_embeddings (chunk INTEGER PRIMARY KEY, int8_rows BLOB NOT NULL);
CREATE VIRTUAL TABLE passages USING fts5(
    title, section, text, content='', tokenize="porter unicode61 remove_diacritics 2"
);
CREATE TABLE words (word TEXT PRIMARY KEY, passages INTEGER NOT NULL) WITHOUT ROWID;
"""


class TextWriter:
    """Fills a new file, which is complete after `finish`; the same input gives the same bytes.

    `texts` reads what has been added, so that a build need not hold it in memory.
    """

    def __init__(self, path: Path) -> None:
        """Make the file."""
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN; {_SCHEMA}")
        self.texts = TextStore(self._connection, path)
        self._documents = self._blocks = 0
        self._words: Counter[str] = Counter()
        self._local_links: list[tuple[int, int, int, str]] = []

    def add_document(self, document: Document, chunks: Iterable[Chunk], language: str = "") -> None:
        """Add a document and its chunks.

        Args:
            language: ISO 639-1 code, by which its words are cut to stems.
        """
        self._documents += 1
        text = document.text
        blocks = [text[at : at + BLOCK_CHARS] for at in range(0, len(text), BLOCK_CHARS)]
        about = (document.path, document.title, document.sha256, len(text))
        self._connection.execute(
            "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?)", (self._documents, *about, self._blocks)
        )
        self._connection.executemany("INSERT INTO blocks VALUES (?, ?)", enumerate(blocks, start=self._blocks))
        self._blocks += len(blocks)
        for start, end, target in document.links:
            link = (self._documents, start, end, target)
            if target.startswith(WEB_ADDRESSES):
                self._connection.execute("INSERT OR IGNORE INTO links VALUES (?, ?, ?, ?)", link)
            else:
                self._local_links.append(link)
        for chunk in chunks:
            self._add_chunk(self._documents, chunk, language)

    def add_sentence_embeddings(self, chunk_id: str, rows: NDArray[np.int8]) -> None:
        """Add those of one chunk: (sentences, dimension), 127 times the unit-norm rows, rounded."""
        self._connection.execute(
            "INSERT INTO sentence_embeddings SELECT id, ? FROM chunks WHERE chunk_id = ?", (rows.tobytes(), chunk_id)
        )

    def finish(self) -> None:
        """Write the known words, merge the index of words into one segment, and save everything."""
        self._connection.executemany("INSERT INTO words VALUES (?, ?)", sorted(self._words.items()))
        self._add_local_links()
        self._connection.execute("INSERT INTO passages (passages) VALUES ('optimize')")
        self._connection.execute("COMMIT")
        self._connection.execute("VACUUM")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _add_local_links(self) -> None:
        """Add the links to other documents of the index: a link may leave out a file's suffix, or name its folder."""
        paths: dict[str, str] = {}
        for (path,) in self.texts.query("SELECT path FROM documents ORDER BY id"):
            paths.setdefault(_page_name(path), path)
            paths[path] = path
        found = ((*place, paths.get(target) or paths.get(_page_name(target))) for *place, target in self._local_links)
        links = [link for link in found if link[-1]]
        self._connection.executemany("INSERT OR IGNORE INTO links VALUES (?, ?, ?, ?)", links)

    def _add_chunk(self, document: int, chunk: Chunk, language: str) -> None:
        place = (document, chunk.section, chunk.page, chunk.start, chunk.end)
        row = self._connection.execute(
            "INSERT INTO chunks VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)",
            (chunk.chunk_id, *place, _to_json(chunk.sentences), chunk.lead),
        ).lastrowid
        fields = (chunk.title, chunk.section, f"{chunk.lead}\n{chunk.text}" if chunk.lead else chunk.text)
        indexed = (to_index(field, language) for field in fields)
        self._connection.execute(
            "INSERT INTO passages (rowid, title, section, text) VALUES (?, ?, ?, ?)", (row, *indexed)
        )
        self._words.update(set(split_words("\n".join(fields))))


def _page_name(path: str) -> str:
    pure = PurePosixPath(path)
    name = pure.with_suffix("") if pure.suffix else pure
    return str(name.parent if name.name.lower() in ("index", "_index", "readme") else name).lower()


def _to_json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
