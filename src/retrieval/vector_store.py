"""The face of the vector store, which is Chroma: `chroma_client.py` builds one, `server_vectors.py` asks a server.

A prebuilt store is opened with Chroma's own engine, `chromadb_rust_bindings`, as `chromadb.PersistentClient` does
beneath. Importing `chromadb` itself costs 45 MB and 0.6 CPU-seconds and brings nothing to a query
(docs/decisions/0005), so `chroma_client.py` imports it only to build a store or to read it back.

Chroma opens only a writable directory and changes it on a mere query, so the committed store is copied to a scratch
directory, which goes away with the process. The engine's errors end here as ours.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from src.artifacts import REBUILD
from src.config import Config
from src.errors import ArtifactError, NoThreads, VectorsUnavailable
from src.records import Filters
from src.retrieval.chroma_client import COLLECTION, create_store, iter_store
from src.retrieval.ranking import ScoredId
from src.retrieval.scratch import copy_writable, make_scratch, remove_scratch, remove_stale_scratch, scratch_errors
from src.retrieval.text_store import check_sqlite_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VECTORS_DIR = "chroma_db"
# A store that 1.5.9 wrote is read with equal results by 1.3.0, 1.5.0 and 1.5.4; 1.1.0 and 1.0.15 crash on it. To add a
# version, read a store of the version before with it, and run tests/retrieval/test_vector_store.py.
COMPATIBLE_FROM, COMPATIBLE_BELOW = (1, 3), (1, 6)
# Where `PersistentClient` puts a collection unless told otherwise.
_PLACE = ("default_tenant", "default_database")
# An HNSW index has five files; one collection needs one index open.
_HNSW_CACHE_SIZE = 8
_ENGINE_MODULES = ("chromadb", "pyo3_runtime")


class VectorSearch(Protocol):
    """Finds the chunks nearest to an embedding.

    Args:
        problem: why the last search found no vectors to ask, and the cure; None: it found them.
    """

    problem: str | None

    def search(self, embedding: NDArray[np.float32], limit: int, filters: Filters) -> list[ScoredId]:
        """Return up to `limit` chunks, best first; the score is the cosine.

        Raises:
            VectorsUnavailable: the vectors cannot be asked now.
        """

    def close(self) -> None:
        """Let go of files and connections."""


def store_format(version: str | None = None) -> str:
    """Name the format that a version of the store's library reads and writes.

    Versions of one format read each other's stores. A version that nobody has tried has a format of its own.

    Args:
        version: None: the installed one.
    """
    version = version or metadata.version("chromadb")
    numbers = tuple(int(part) for part in version.split(".")[:2])
    if COMPATIBLE_FROM <= numbers < COMPATIBLE_BELOW:
        return "chroma 1.3"
    return f"chroma {version}"


def open_vectors(index_dir: Path, chunks: int) -> VectorSearch:
    """Open the vectors of an index, from a copy.

    Args:
        chunks: how many the manifest says there are.

    Raises:
        ArtifactError: they cannot be read, or are not what the manifest says.
    """
    return VectorStore.open(index_dir, chunks)


def open_server_vectors(config: Config, fingerprint: str, chunks: int) -> VectorSearch:
    """Take the vectors of an index from the server at `CHROMA_URL`; the first search asks it.

    Args:
        fingerprint: of the manifest.
    """
    from src.retrieval.server_vectors import ServerVectors

    return ServerVectors(config, fingerprint, chunks)


def create_vectors(
    index_dir: Path, chunk_ids: Sequence[str], documents: Sequence[str], embeddings: NDArray[np.floating[Any]]
) -> None:
    """Write the vectors of a new index.

    Args:
        documents: the path of each chunk's document, to filter by.
        embeddings: (chunks, dimension), rows of norm 1; float16 will do.

    Raises:
        BuildError: the disk refuses.
    """
    create_store(index_dir / VECTORS_DIR, chunk_ids, documents, embeddings)


def iter_embeddings(index_dir: Path, chunk_ids: Sequence[str]) -> Iterator[NDArray[np.float32]]:
    """Read the embeddings of an index back, some rows at a time in the order of the ids.

    The store has normalised them again, which changes the last bits.

    Raises:
        ArtifactError: they cannot be read, or one of the ids is missing.
    """
    return iter_store(index_dir / VECTORS_DIR, chunk_ids)


def check_vector_files(index_dir: Path) -> None:
    """Look for damage before the engine, which damage can crash, opens the files.

    Raises:
        ArtifactError: a page of the store's database is damaged.
    """
    check_sqlite_file(index_dir / VECTORS_DIR / "chroma.sqlite3")


class VectorStore:
    """Searches one Chroma collection; opened once for the life of the process, after any fork."""

    problem: str | None = None

    def __init__(self, scratch: Path, source: Path) -> None:
        """Open a copy that may be written; use `open`."""
        import chromadb_rust_bindings as engine

        self._source = source
        self._remove_scratch = weakref.finalize(self, remove_scratch, scratch, os.getpid())
        with _translated(source):
            self._engine = engine.Bindings(
                allow_reset=False,
                sqlite_db_config=engine.SqliteDBConfig(
                    hash_type=engine.MigrationHash.MD5,
                    migration_mode=engine.MigrationMode.Apply,
                    url=str(scratch / "chroma.sqlite3"),
                ),
                persist_path=str(scratch),
                hnsw_cache_size=_HNSW_CACHE_SIZE,
            )
            self._collection = str(self._engine.get_collection(COLLECTION, *_PLACE).id)

    @classmethod
    def open(cls, index_dir: Path, chunks: int) -> Self:
        """Open a copy of the committed index; the copy is removed by `close` or at the end of the process.

        Raises:
            ArtifactError: Chroma cannot read it, or it does not hold what the manifest says.
        """
        remove_stale_scratch()
        source = index_dir / VECTORS_DIR
        with scratch_errors(source):
            scratch = make_scratch()
        try:
            with _translated(source), scratch_errors(source):
                copy_writable(source, scratch)
            store = cls(scratch, source)
            count = store.count()
            if count != chunks:
                raise ArtifactError(f"{source} holds {count} chunks, the manifest says {chunks}. {REBUILD}")
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
        return store

    def search(self, embedding: NDArray[np.float32], limit: int, filters: Filters) -> list[ScoredId]:
        """Return up to `limit` chunks nearest to a unit-norm embedding, best first; the score is the cosine."""
        where = json.dumps({"document": {"$in": list(filters.documents)}}) if filters.documents else None
        with _translated(self._source, self._is_open):
            found = self._engine.query(self._collection, None, [embedding], limit, where, None, ["distances"], *_PLACE)
        return [ScoredId(i, 1.0 - d) for i, d in zip(found.ids[0], found.distances[0], strict=True)]

    def count(self) -> int:
        """Return how many chunks there are."""
        with _translated(self._source, self._is_open):
            return int(self._engine.count(self._collection, *_PLACE))

    def close(self) -> None:
        """Remove the scratch copy; dropping the store, or the end of the process, does so too."""
        self._remove_scratch()

    def _is_open(self) -> bool:
        return self._remove_scratch.alive


@contextmanager
def _translated(source: Path, is_open: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Raise the engine's errors as ours; they are `chromadb.errors`, which nothing else here has imported.

    A damaged file can make the engine panic; what arrives then is no `Exception`.
    """
    try:
        yield
    except BaseException as exc:
        if not isinstance(exc, OSError | ValueError) and not type(exc).__module__.startswith(_ENGINE_MODULES):
            raise
        if not is_open():
            raise VectorsUnavailable("The vector store was closed during the search. Ask again.") from exc
        if f"(os error {errno.EAGAIN})" in str(exc):
            raise NoThreads from exc
        raise ArtifactError(f"{source} cannot be read ({type(exc).__name__}: {exc}). {REBUILD}") from exc
