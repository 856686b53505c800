"""Embeddings that need not be made again: those of the index before, and those of a build that was killed.

An embedding depends on its text alone (`encoder.py`), so the text's hash is its key. All embeddings of a build
go through one file beside the index; it carries the model's fingerprint in its name and is removed when the build is
done. A later build takes what it can from the finished index, so nothing but the index needs to be in git.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from src.artifacts import LEXICAL_FILE, IndexSpec, Manifest
from src.ingestion.chunker import embedding_text
from src.rag.quotation import read_sentence
from src.records import Chunk
from src.retrieval.text_store import TextStore
from src.retrieval.vector_store import iter_embeddings

Kind = Literal["chunk", "sentence"]
Packed = NDArray[np.float16] | NDArray[np.int8]
# What is embedded together, and comes back with its embeddings: the texts' kind and keys.
Label = tuple[Kind, list[bytes]]
Embed = Callable[[Iterator[tuple[Label, list[str]]]], Iterator[tuple[Label, NDArray[np.float32]]]]
_FILE_PREFIX = ".kept-embeddings-"
_KEY_BYTES = 16


class KeptEmbeddings:
    """A file of embeddings by the hash of their text.

    Chunks are kept as float16. The vector store normalises them, which changes the last bits of a float32; rounded to
    float16 again, what comes back from it is what went in, so an index can be built on from itself. (The rounding
    moves a cosine by less than 0.0002, quantising the model to int8 by 0.01.)
    Sentences are kept as int8, 127 times the row, as the index holds them.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, or make it; one that a crash of the system has damaged is made anew."""
        try:
            self._connection = self._open(path)
        except sqlite3.DatabaseError:
            path.unlink()
            self._connection = self._open(path)

    @classmethod
    def beside(cls, index_dir: Path, spec: IndexSpec) -> Self:
        """Open the file of a build; what builds with other models left beside it goes away."""
        index_dir = index_dir.resolve()
        path = index_dir.with_name(f"{_FILE_PREFIX}{spec.embeddings_fingerprint}.sqlite3")
        for other in index_dir.parent.glob(f"{_FILE_PREFIX}*"):
            if not other.name.startswith(path.name):  # its journal undoes what a killed build left half-written
                other.unlink()
        return cls(path)

    @staticmethod
    def remove(index_dir: Path) -> None:
        """Remove the file of a finished build."""
        for path in index_dir.resolve().parent.glob(f"{_FILE_PREFIX}*"):
            path.unlink()

    def _open(self, path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None)
        # Not synced: what is written survives the process, and after a power cut the file may be made anew.
        connection.executescript("PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = OFF;")
        connection.execute("CREATE TABLE IF NOT EXISTS kept (key BLOB PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID")
        connection.execute("SELECT count(*) FROM (SELECT 1 FROM kept LIMIT 1)")
        connection.execute("CREATE TEMP TABLE asked (key BLOB PRIMARY KEY) WITHOUT ROWID")
        return connection

    def take_over(self, index_dir: Path, old: Manifest | None, spec: IndexSpec) -> None:
        """Keep all embeddings of a whole index; one that was made otherwise gives none."""
        if old is None or not old.spec.embeds_like(spec):
            return
        chunk_ids: list[str] = []
        keys: list[bytes] = []
        with closing(TextStore.open(index_dir / LEXICAL_FILE)) as texts:
            for chunk in texts.iter_chunks():
                chunk_ids.append(chunk.chunk_id)
                keys.append(_key("chunk", embedding_text(chunk)))
                sentences = [_key("sentence", text) for text in sentence_texts(chunk)]
                held = texts.get_sentences_of([chunk.chunk_id], spec.dimension)
                self._put(sentences, held.get(chunk.chunk_id, ()))
        left = iter(keys)
        for rows in iter_embeddings(index_dir, chunk_ids):
            self._put(islice(left, len(rows)), _pack("chunk", rows))

    def complete(
        self, batches: Iterable[tuple[Kind, Sequence[str]]], embed: Embed, tell_done: Callable[[int], object]
    ) -> int:
        """Embed the texts that are not kept yet, and keep each batch of them, all or none; return how many these were.

        Args:
            embed: may take any number of batches before it gives the embeddings of the first.
            tell_done: is told of texts that are kept now.
        """
        embedded = 0
        for (kind, keys), rows in embed(self._iter_missing(batches, tell_done)):
            self._put(keys, _pack(kind, rows))
            tell_done(len(keys))
            embedded += len(keys)
        return embedded

    def _iter_missing(
        self, batches: Iterable[tuple[Kind, Sequence[str]]], tell_done: Callable[[int], object]
    ) -> Iterator[tuple[Label, list[str]]]:
        """Leave out what is kept and what was asked for before."""
        query = "INSERT OR IGNORE INTO asked SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM kept WHERE key = ?1)"
        for kind, texts in batches:
            pairs = ((_key(kind, text), text) for text in texts)
            missing = {key: text for key, text in pairs if self._connection.execute(query, (key,)).rowcount}
            tell_done(len(texts) - len(missing))
            if missing:
                yield (kind, list(missing)), list(missing.values())

    def get(self, kind: Kind, texts: Sequence[str], dimension: int) -> Packed:
        """Return (texts, dimension) as the index holds them."""
        query = "SELECT row FROM kept WHERE key = ?"
        found = (self._connection.execute(query, (_key(kind, text),)).fetchone() for text in texts)
        data = b"".join(row[0] for row in found)
        rows: Packed = np.frombuffer(data, np.float16) if kind == "chunk" else np.frombuffer(data, np.int8)
        return rows.reshape(len(texts), dimension)

    def _put(self, keys: Iterable[bytes], packed: Packed | tuple[()]) -> None:
        pairs = ((key, row.tobytes()) for key, row in zip(keys, packed, strict=True))
        self._connection.execute("BEGIN")
        self._connection.executemany("INSERT OR IGNORE INTO kept VALUES (?, ?)", pairs)
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def sentence_texts(chunk: Chunk) -> list[str]:
    """What is embedded for the sentences of a chunk: each as it would be quoted, a table's row with its header."""
    return [read_sentence(chunk, number) for number in range(len(chunk.sentences))]


def _pack(kind: Kind, rows: NDArray[np.float32]) -> Packed:
    return rows.astype(np.float16) if kind == "chunk" else np.rint(127 * rows).astype(np.int8)


def _key(kind: Kind, text: str) -> bytes:
    return hashlib.sha256(f"{kind}\n{text}".encode()).digest()[:_KEY_BYTES]
