"""What a collection is in Chroma, and its public client, which builds a store and reads it back.

The client costs 45 MB and 0.6 CPU-seconds, so nothing that serves imports it. `vector_store.py` is the face of this.
"""

from __future__ import annotations

import math
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from src.artifacts import BUILD_AGAIN, REBUILD
from src.errors import ArtifactError, BuildError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Of the embedded store; on a server, its name says whose index it is.
COLLECTION = "passages"
# Of the graph, embedded and on a server. If a search looks at Chroma's 100 nodes for our 100 candidates, what it finds
# depends on the order in which rows entered the graph: two builds of 1,480 chunks gave 94 % of 500 questions the same
# first ten, with 400 nodes all of them. At 10,000 chunks, 100 instead of 97 % of the true first ten are found then, for
# 0.7 ms more of CPU.
GRAPH = {"space": "cosine", "ef_search": 400}
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
    hnsw = {**GRAPH, "num_threads": 1, "sync_threshold": smallest, "batch_size": smallest}
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


def iter_store(directory: Path, chunk_ids: Sequence[str]) -> Iterator[NDArray[np.float32]]:
    """Read embeddings back from a copy of a Chroma database; see `vector_store.iter_embeddings`.

    Raises:
        ArtifactError: it cannot be read, or lacks one of the ids.
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
            raise ArtifactError(f"{directory} cannot be read ({type(exc).__name__}: {exc}). {REBUILD}") from exc


def _settings() -> Any:
    """Chroma's settings at their defaults: given one by one, neither `.env` nor the environment overrides them."""
    from chromadb.config import Settings

    defaults = {name: field.get_default(call_default_factory=True) for name, field in Settings.model_fields.items()}
    return Settings(_env_file=None, **{**defaults, "anonymized_telemetry": False})
