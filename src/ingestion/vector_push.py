"""Fills the collection of an index on a Chroma server, and removes those of other indexes there.

A collection is filled under another name and gets its own when all chunks are there. So a server process, which asks
for the name that its manifest gives, never finds a half-filled one, and the one that is served stays as it is.
"""

import re
import time
from contextlib import closing

from src.artifacts import LEXICAL_FILE, Manifest
from src.checksums import check_checksums
from src.config import Config
from src.errors import BuildError, ConfigError
from src.ingestion.build_report import progress_bar
from src.retrieval.chroma_server import PREFIX, ROWS_PER_WRITE, ChromaServer, name_collection
from src.retrieval.text_store import TextStore
from src.retrieval.vector_store import iter_embeddings

FILLING = "-filling"
OURS = re.compile(rf"{PREFIX}[0-9a-f]{{16}}(?:{FILLING})?")
TIMEOUT_S = 60.0
RETRIES = 7  # within 63 s, in which a server can be started again


def push_vectors(config: Config) -> str:
    """Send what the server does not have yet, and tell it in a sentence.

    Raises:
        BuildError: the server holds other chunks than were sent.
        ConfigError: no server is set.
        ArtifactError: the local index is damaged.
        VectorsUnavailable: the server is away, refuses the key or a write; what it took stays for the next push.
    """
    started = time.monotonic()
    manifest = Manifest.load(config.index_dir)
    check_checksums(config.index_dir)
    chunks, name = manifest.results.chunks, name_collection(manifest.fingerprint)
    with closing(_connect(config)) as server:  # a wrong address is told at once
        if _is_complete(server, manifest):
            return f"{name} is complete on the server, with {chunks:,} chunks. Nothing is sent."
    with closing(_connect(config, RETRIES)) as server:
        server.discard(name)
        collection = server.create(name + FILLING)
        sent = _send(config, server, collection, chunks)
        held = server.count(collection)
        if held != chunks:
            raise BuildError(f"{name}{FILLING} holds {held:,} chunks, not {chunks:,}. Delete it there and push again.")
        server.rename(collection, name)
    return (
        f"{name} is complete on the server: {sent:,} of {chunks:,} chunks sent in {time.monotonic() - started:.1f} s."
    )


def prune_vectors(config: Config) -> str:
    """Remove the collections of other indexes, and name them.

    Raises:
        BuildError: this index's own collection is not complete there, so another one may be in use.
        ConfigError: no server is set.
        VectorsUnavailable: the server is away or refuses the key.
    """
    manifest = Manifest.load(config.index_dir, texts_only=True)
    own = name_collection(manifest.fingerprint)
    with closing(_connect(config)) as server:
        if not _is_complete(server, manifest):
            message = f"{own} is not complete on the server, so the others may be in use"
            raise BuildError(f"{message}. Run ./run.sh build push first.")
        others = sorted(name for name in server.iter_names() if OURS.fullmatch(name) and name != own)
        for name in others:
            server.discard(name)
    return f"{own} stays. Removed: {', '.join(others) or 'nothing'}."


def _connect(config: Config, retries: int = 0) -> ChromaServer:
    if not config.chroma_url:
        raise ConfigError("CHROMA_URL is not set. Set it to the server that is to hold the vectors.")
    return ChromaServer(config, TIMEOUT_S, retries)


def _is_complete(server: ChromaServer, manifest: Manifest) -> bool:
    collection = server.find(name_collection(manifest.fingerprint))
    return collection is not None and server.count(collection) == manifest.results.chunks


def _send(config: Config, server: ChromaServer, collection: str, chunks: int) -> int:
    """Send the chunks in their order, from the last batch on that an earlier push sent; return how many."""
    with closing(TextStore.open(config.index_dir / LEXICAL_FILE)) as texts:
        chunk_ids = texts.list_chunk_ids()
    at = start = max(0, server.count(collection) - ROWS_PER_WRITE)
    with progress_bar("Pushing", chunks, "chunks") as bar:
        bar.update(start)
        for rows in iter_embeddings(config.index_dir, chunk_ids[start:]):
            for first in range(0, len(rows), ROWS_PER_WRITE):
                part = rows[first : first + ROWS_PER_WRITE]
                ids = chunk_ids[at : at + len(part)]
                server.upsert(collection, ids, [chunk_id.rpartition("#")[0] for chunk_id in ids], part)
                at += len(part)
                bar.update(len(part))
    return chunks - start
