"""Documents and chunks in `lexical.sqlite3`: the one place on disk that holds texts.

A document's text is stored once, in blocks; a chunk is a span of it. So a chunk of a large document is read without
reading the document. The embeddings of a chunk's sentences lie beside it, so that an answer can weigh sentences without
embedding anything. `text_writer.py` writes the file.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from src.artifacts import REBUILD
from src.errors import ArtifactError, ServiceUnavailable
from src.records import Chunk

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK_CHARS = 8192
WEB_ADDRESSES = ("https://", "http://", "mailto:")
CACHE_KB = 1024  # the system's own page cache keeps the rest, and that is memory it can take back


@dataclass(frozen=True, slots=True)
class DocumentEntry:
    """One line of the list of documents."""

    path: str
    title: str
    chunks: int
    characters: int


_ENTRIES = (
    "SELECT d.path, d.title, (SELECT count(*) FROM chunks c WHERE c.document = d.id), d.characters FROM documents d"
)


class TextStore:
    """Reads documents and chunks; safe to share between threads, which take turns."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        """Read through a connection; use `open` for a finished file."""
        self._connection = connection
        self._path = path
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a finished file. Nobody writes it any more, so SQLite takes no locks and the folder may be read-only.

        Raises:
            ArtifactError: it is missing, damaged or not a SQLite file.
        """
        try:
            connection = sqlite3.connect(_read_only(path), uri=True, check_same_thread=False)
            connection.execute(f"PRAGMA cache_size = -{CACHE_KB}")
            connection.execute("SELECT count(*) FROM sqlite_master")
        except sqlite3.Error as exc:
            raise _corrupt(path, exc) from exc
        return cls(connection, path)

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one SELECT and return all its rows.

        Raises:
            ArtifactError: SQLite cannot read what the query needs.
            ServiceUnavailable: the file was closed meanwhile.
        """
        try:
            with self._lock:
                return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.ProgrammingError as exc:
            message = f"{self._path.name} was closed during the search ({exc}). Ask again."
            raise ServiceUnavailable(message, retry_after_s=1, code="index_closed") from exc
        except sqlite3.Error as exc:
            raise _corrupt(self._path, exc) from exc

    def close(self) -> None:
        """Close the file; closing again does nothing."""
        with self._lock:
            self._connection.close()

    def get_chunks(self, chunk_ids: Sequence[str]) -> list[Chunk]:
        """Return the chunks in the order asked; unknown ids are left out."""
        rows = self.query(
            "SELECT * FROM chunk_rows WHERE chunk_id IN (SELECT value FROM json_each(?))", (json.dumps(chunk_ids),)
        )
        by_id = {row[1]: row for row in rows}
        return [self._to_chunk(by_id[chunk_id]) for chunk_id in chunk_ids if chunk_id in by_id]

    def get_chunks_of(self, path: str, start: int = 0, end: int = 2**62) -> list[Chunk]:
        """Return a document's chunks that reach into this span, in their order; none for an unknown path."""
        sql = "SELECT * FROM chunk_rows WHERE path = ? AND start < ? AND end > ? ORDER BY id"
        rows = self.query(sql, (path, end, start))
        return [self._to_chunk(row) for row in rows]

    def iter_chunks(self) -> Iterator[Chunk]:
        """Read all chunks in the order they were built, those of one document at a time."""
        for (path,) in self.query("SELECT path FROM documents ORDER BY id"):
            yield from self.get_chunks_of(path)

    def list_chunk_ids(self) -> list[str]:
        """Return the ids of all chunks in the order they were built."""
        return [chunk_id for (chunk_id,) in self.query("SELECT chunk_id FROM chunks ORDER BY id")]

    def get_sentences_of(self, chunk_ids: Sequence[str], dimension: int) -> dict[str, NDArray[np.int8]]:
        """Return the embeddings of chunks' sentences, in the order asked; chunks without any are left out.

        Each is (sentences, dimension) int8: 127 times the unit-norm rows, rounded.
        """
        import numpy as np

        rows = self.query(
            "SELECT c.chunk_id, e.int8_rows FROM json_each(?) j JOIN chunks c ON c.chunk_id = j.value "
            "JOIN sentence_embeddings e ON e.chunk = c.id WHERE length(e.int8_rows) > 0 ORDER BY j.key",
            (json.dumps(chunk_ids),),
        )
        return {chunk_id: np.frombuffer(blob, dtype=np.int8).reshape(-1, dimension) for chunk_id, blob in rows}

    def get_headings(self, chunk_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Return title and section of each chunk."""
        rows = self.query(
            "SELECT chunk_id, title, section FROM chunk_rows WHERE chunk_id IN (SELECT value FROM json_each(?))",
            (json.dumps(chunk_ids),),
        )
        return {chunk_id: (title, section) for chunk_id, title, section in rows}

    def read_text(self, path: str, start: int, end: int) -> str:
        """Return a document's text from `start` to `end`; nothing for an unknown path."""
        rows = self.query("SELECT first_block FROM documents WHERE path = ?", (path,))
        return self._read_text(rows[0][0], start, end) if rows else ""

    def list_documents(self, limit: int, offset: int) -> tuple[tuple[DocumentEntry, ...], int]:
        """Return one page of the documents in the order they were built, and how many there are."""
        rows = self.query(f"{_ENTRIES} ORDER BY d.id LIMIT ? OFFSET ?", (limit, offset))
        total = self.query("SELECT count(*) FROM documents")[0][0]
        return tuple(DocumentEntry(*row) for row in rows), total

    def get_entry(self, path: str) -> DocumentEntry | None:
        """Return what a list says of one document; None for an unknown path."""
        rows = self.query(f"{_ENTRIES} WHERE d.path = ?", (path,))
        return DocumentEntry(*rows[0]) if rows else None

    def get_hashes(self) -> dict[str, str]:
        """Return the SHA-256 of each document's file, by path."""
        return dict(self.query("SELECT path, sha256 FROM documents"))

    def get_links(self, path: str, start: int, end: int) -> list[tuple[int, int, str]]:
        """Return the links inside a span of a document: start, end, where to."""
        sql = (
            "SELECT start, end, target FROM links WHERE document = (SELECT id FROM documents WHERE path = ?) "
            "AND start >= ? AND end <= ?"
        )
        return [(first, last, target) for first, last, target in self.query(sql, (path, start, end))]

    def _to_chunk(self, row: tuple[Any, ...]) -> Chunk:
        _, chunk_id, document, title, section, page, start, end, sentences, lead, first_block = row
        text = self._read_text(first_block, start, end)
        spans = tuple((first, last) for first, last in json.loads(sentences))
        return Chunk(chunk_id, document, title, section, page, text, start, end, spans, lead)

    def _read_text(self, first_block: int, start: int, end: int) -> str:
        first, last = start // BLOCK_CHARS, end // BLOCK_CHARS
        rows = self.query(
            "SELECT text FROM blocks WHERE id BETWEEN ? AND ? ORDER BY id", (first_block + first, first_block + last)
        )
        text = "".join(block for (block,) in rows)
        return text[start - first * BLOCK_CHARS : end - first * BLOCK_CHARS]


def check_sqlite_file(path: Path) -> None:
    """Read every page of a SQLite file.

    Raises:
        ArtifactError: one of them is damaged.
    """
    try:
        connection = sqlite3.connect(_read_only(path), uri=True)
        try:
            said = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.Error as exc:
        said = str(exc)
    if said != "ok":
        raise ArtifactError(f"The index is not whole: {path.name} is damaged ({said}). {REBUILD}")


def _read_only(path: Path) -> str:
    return f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"


def _corrupt(path: Path, exc: sqlite3.Error) -> ArtifactError:
    return ArtifactError(f"{path} cannot be read ({exc}). {REBUILD}")
