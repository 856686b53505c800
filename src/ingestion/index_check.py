"""Whether an index on disk is whole, is what its manifest says, and finds its own passages."""

import hashlib
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from src.artifacts import LEXICAL_FILE, REBUILD, Manifest, ModelCard, sha256_of
from src.embedding.embedding_service import EmbeddingService
from src.errors import ArtifactError, IndexCorrupt, ModelMissing
from src.ingestion.checksums import check_checksums
from src.ingestion.chunker import embedding_text
from src.ingestion.corpus import Corpus
from src.records import Chunk
from src.retrieval.index import Index, open_index
from src.retrieval.text_store import TextStore, check_sqlite_file
from src.retrieval.vector_store import check_vector_files, iter_embeddings, store_format

CANARIES = 20
# The graph is searched approximately: of 119,722 passages as alike as .998, 2 in 100 did not find themselves.
ENOUGH = 0.9
# Two passages of one text have one embedding: either may come first.
_SAME = 1e-4


def is_index_of(index_dir: Path, draft: Manifest, corpus: Corpus) -> bool:
    """Tell whether a build would make the index that is there: same parts, same texts, and not damaged."""
    try:
        manifest = Manifest.load(index_dir)
        known = replace(draft, embeddings_sha256=manifest.embeddings_sha256, file_bytes=manifest.file_bytes,
                        relevance_floor=manifest.relevance_floor)  # fmt: skip
        if manifest != known:
            return False
        check_checksums(index_dir)
        with closing(TextStore.open(index_dir / LEXICAL_FILE)) as passages:
            for item in corpus:
                if passages.get_document(item.document.path) != item.document:
                    return False
                if passages.get_chunks_of(item.document.path) != list(item.chunks):
                    return False
        check_parts(index_dir, manifest)
    except ArtifactError:
        return False
    return True


def verify_index(index_dir: Path, model_dir: Path) -> str:
    """Check everything that can be checked, and tell it in a sentence.

    Raises:
        ArtifactError: the first thing that is wrong, and its cure.
    """
    manifest = Manifest.load(index_dir)
    check_checksums(index_dir)
    manifest.require_match(ModelCard.load(model_dir), store_format())
    check_parts(index_dir, manifest)
    found, asked = check_canaries(index_dir, manifest, model_dir)
    return (
        f"The index in {index_dir} is whole: {manifest.documents:,} documents, {manifest.chunks:,} passages, each file "
        f"as it was built, embeddings as in the manifest; {found} of {asked} passages find themselves."
    )


def check_parts(index_dir: Path, manifest: Manifest) -> None:
    """Check both databases, their counts, the documents' hashes and the embeddings against the manifest.

    Raises:
        IndexCorrupt: naming the first thing that differs.
    """
    check_sqlite_file(index_dir / LEXICAL_FILE)
    check_vector_files(index_dir)
    with closing(TextStore.open(index_dir / LEXICAL_FILE)) as passages:
        is_same = passages.get_hashes() == manifest.document_hashes
        _require(is_same, f"the documents of {LEXICAL_FILE} are not those of the manifest")
        chunk_ids = passages.list_chunk_ids()
        _require(len(chunk_ids) == manifest.chunks, f"{LEXICAL_FILE} holds {len(chunk_ids)} passages")
    digest = hashlib.sha256()
    # The store has normalised them again; as float16 they are what the build wrote (kept_embeddings.py)
    for rows in iter_embeddings(index_dir, chunk_ids):
        digest.update(rows.astype("float16").astype("float32").tobytes())
    _require(digest.hexdigest() == manifest.embeddings_sha256, "the embeddings have changed")


def check_canaries(index_dir: Path, manifest: Manifest, model_dir: Path) -> tuple[int, int]:
    """Ask for some passages by their own text; return how many find themselves, and of how many.

    Raises:
        IndexCorrupt: too few do, so the model and the index do not go together.
        ModelMissing: a file of the model is not what its card says.
    """
    card = ModelCard.load(model_dir)
    for name, expected in card.files.items():
        if sha256_of(model_dir / name) != expected:
            raise ModelMissing(f"{model_dir / name} is not the file that the model card names. Restore it from git.")
    encoder = EmbeddingService.load(model_dir)
    with closing(open_index(index_dir, manifest=manifest, get_encoder=lambda: encoder)) as index:
        canaries = _choose(index)
        lost = [chunk.chunk_id for chunk in canaries if not _finds_itself(index, chunk)]
    found = len(canaries) - len(lost)
    _require(
        found >= ENOUGH * len(canaries),
        f"{len(lost)} of {len(canaries)} passages are not found by their own text: {lost}",
    )
    return found, len(canaries)


def _choose(index: Index) -> list[Chunk]:
    ids = index.texts.list_chunk_ids()
    return index.texts.get_chunks(ids[:: -(-len(ids) // CANARIES)])


def _finds_itself(index: Index, chunk: Chunk) -> bool:
    hits = index.search(embedding_text(chunk), limit=5, kind="dense").hits
    return any(hit.chunk == chunk and hit.score >= hits[0].score - _SAME for hit in hits)


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise IndexCorrupt(f"The index is not whole: {problem}. {REBUILD}")
