"""Chroma's public client, which builds a store and asks a Chroma server; only `vector_store.py` imports this file.

The client costs 44 MB and half a CPU-second, so a prebuilt store is served without it.
"""

from __future__ import annotations

import math
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from src.artifacts import BUILD_AGAIN, REBUILD
from src.errors import BuildError, IndexCorrupt, ServiceUnavailable
from src.records import Filters
from src.retrieval.ranking import ScoredId
from src.retrieval.vector_store import COLLECTION, VECTORS_DIR

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RETRY_AFTER_S = 10
# Chroma takes up to 5,461 rows in one batch.
ROWS_PER_BATCH = 5000


def create_store(
    directory: Path, chunk_ids: Sequence[str], documents: Sequence[str], embeddings: NDArray[np.floating[Any]]
) -> None:
    """Write a Chroma database with one collection; see `create_vectors`."""
    import chromadb
    from chromadb.errors import ChromaError

    directory.mkdir(parents=True)
    # Chroma keeps added rows in its log until there are `sync_threshold` of them, 3 at least, and replays the log at
    # every open. So every batch ends with a sync, the last and smallest one too. With one sync at the end, 20,000 rows
    # took 41 MB more. One thread, because several would race for the graph. Rows of a batch enter the graph in a random
    # order. Rows added one at a time would not, but each is a transaction: 600 took 21.6 s on a busy disk, not 0.3 s.
    count = len(chunk_ids)
    batches = max(1, math.ceil(count / ROWS_PER_BATCH))
    size = math.ceil(count / batches)
    smallest = max(3, count - size * (batches - 1))
    hnsw = {"space": "cosine", "num_threads": 1, "sync_threshold": smallest, "batch_size": smallest}
    try:
        with closing(chromadb.PersistentClient(str(directory), settings=_settings())) as client:
            collection = client.create_collection(COLLECTION, embedding_function=None, configuration={"hnsw": hnsw})
            for at in range(0, count, max(1, size)):
                part = slice(at, at + size)
                metadatas = [{"document": document} for document in documents[part]]
                rows = embeddings[part].astype("float32")
                collection.add(ids=list(chunk_ids[part]), embeddings=rows, metadatas=metadatas)
        with closing(sqlite3.connect(directory / "chroma.sqlite3")) as connection:
            connection.execute("VACUUM")  # half of the file was the purged log
    except ChromaError as exc:
        raise BuildError(f"Chroma cannot write to {directory} ({exc}). {BUILD_AGAIN}") from exc


def iter_embeddings(directory: Path, chunk_ids: Sequence[str]) -> Iterator[NDArray[np.float32]]:
    """Read embeddings back from a copy of a Chroma database; see `vector_store.iter_embeddings`.

    Raises:
        IndexCorrupt: it cannot be read, or lacks one of the ids.
    """
    import chromadb
    import numpy as np
    from chromadb.errors import ChromaError

    with TemporaryDirectory() as scratch:
        copy = Path(scratch, "copy")
        shutil.copytree(directory, copy, copy_function=shutil.copyfile)
        try:
            with closing(chromadb.PersistentClient(str(copy), settings=_settings())) as client:
                collection = client.get_collection(COLLECTION, embedding_function=None)
                for at in range(0, len(chunk_ids), ROWS_PER_BATCH):
                    part = list(chunk_ids[at : at + ROWS_PER_BATCH])
                    found = collection.get(ids=part, include=["embeddings"])
                    place = {chunk_id: number for number, chunk_id in enumerate(found["ids"])}
                    yield np.asarray(found["embeddings"], dtype=np.float32)[[place[chunk_id] for chunk_id in part]]
        except (ChromaError, ValueError, LookupError) as exc:
            raise IndexCorrupt(f"{directory} cannot be read ({type(exc).__name__}: {exc}). {REBUILD}") from exc


class ChromaServer:
    """Searches the same collection on a Chroma server, for indexes too large for this process (`CHROMA_URL`)."""

    def __init__(self, collection: Any, url: str) -> None:
        self._collection, self._url = collection, url

    @classmethod
    def connect(cls, url: str, chunks: int) -> Self:
        """Find the collection.

        Raises:
            IndexCorrupt: the server does not hold what the manifest says.
            ServiceUnavailable: it cannot be asked.
        """
        import chromadb

        parts = urlsplit(url)
        ssl = parts.scheme == "https"
        with _translated(url):
            client = chromadb.HttpClient(
                host=parts.hostname or "", port=parts.port or (443 if ssl else 80), ssl=ssl, settings=_settings()
            )
            collection = client.get_collection(COLLECTION, embedding_function=None)
            count = collection.count()
        if count != chunks:
            raise IndexCorrupt(f"{url} holds {count} chunks, the manifest says {chunks}. {REBUILD}")
        return cls(collection, url)

    def search(self, embedding: NDArray[np.float32], limit: int, filters: Filters) -> list[ScoredId]:
        """Return up to `limit` chunks nearest to a unit-norm embedding, best first; the score is the cosine."""
        where = {"document": {"$in": list(filters.documents)}} if filters.documents else None
        with _translated(self._url):
            found = self._collection.query(
                query_embeddings=[embedding], n_results=limit, where=where, include=["distances"]
            )
        return [ScoredId(i, 1.0 - d) for i, d in zip(found["ids"][0], found["distances"][0], strict=True)]

    def close(self) -> None:
        """Do nothing: the client keeps no file."""


def _settings() -> Any:
    """Chroma's settings at their defaults: given one by one, neither `.env` nor the environment overrides them."""
    from chromadb.config import Settings

    defaults = {name: field.get_default(call_default_factory=True) for name, field in Settings.model_fields.items()}
    return Settings(_env_file=None, **{**defaults, "anonymized_telemetry": False})


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """Raise the client's errors as ours; a server that cannot be reached shows as httpx's or as a ValueError."""
    from chromadb.errors import ChromaError, NotFoundError
    from httpx import HTTPError

    try:
        yield
    except NotFoundError as exc:
        raise IndexCorrupt(f"{url} has no collection '{COLLECTION}'. Serve data/index/{VECTORS_DIR} there.") from exc
    except (ChromaError, HTTPError, OSError, ValueError) as exc:
        message = f"The Chroma server at {url} cannot be asked ({type(exc).__name__}). Start it or unset CHROMA_URL."
        raise ServiceUnavailable(message, retry_after_s=RETRY_AFTER_S, code="vectors_unavailable") from exc
