"""Whether an index on disk is whole, is what its manifest says, and finds its own chunks."""

import hashlib
from contextlib import closing
from functools import cache, partial
from pathlib import Path

from src.artifacts import LEXICAL_FILE, Manifest, ModelCard, sha256_of
from src.checksums import check_checksums, require_whole
from src.embedding.embedding_service import EmbeddingService
from src.errors import ArtifactError
from src.ingestion.chunker import embedding_text
from src.ingestion.languages import tell_unknown
from src.retrieval.index import open_index
from src.retrieval.text_store import TextStore, check_sqlite_file
from src.retrieval.vector_store import check_vector_files, iter_embeddings, store_format

CANARIES = 20
# The graph is searched approximately: of 119,722 chunks as alike as .998, 2 in 100 did not find themselves.
ENOUGH = 0.9
# Two chunks of one text have one embedding: either may come first, and of many copies only some are among the hits.
_SAME = 1e-4


def load_whole_manifest(index_dir: Path) -> Manifest | None:
    """Read the manifest of an index whose files are all as they were built; None: there is no such index."""
    try:
        manifest = Manifest.load(index_dir)
        check_checksums(index_dir)
    except ArtifactError:
        return None
    return manifest


def verify_index(index_dir: Path, model_dir: Path) -> str:
    """Check everything that can be checked, and tell it in a sentence.

    Raises:
        ArtifactError: the first thing that is wrong, and its cure.
    """
    manifest = Manifest.load(index_dir)
    check_checksums(index_dir)
    card = ModelCard.load(model_dir)
    manifest.require_match(card, store_format())
    check_parts(index_dir, manifest)
    found, asked = check_canaries(index_dir, model_dir)
    unknown = tell_unknown(manifest.spec.languages, card.languages)
    return (
        f"The index in {index_dir} is whole: {len(manifest.spec.document_hashes):,} documents, "
        f"{manifest.results.chunks:,} chunks, each file as it was built, embeddings as in the manifest; "
        f"{found} of {asked} chunks find themselves." + (f"\n{unknown}" if unknown else "")
    )


def check_parts(index_dir: Path, manifest: Manifest) -> None:
    """Check both databases, their counts, the documents' hashes and the embeddings against the manifest.

    Raises:
        ArtifactError: naming the first thing that differs.
    """
    check_sqlite_file(index_dir / LEXICAL_FILE)
    check_vector_files(index_dir)
    with closing(TextStore.open(index_dir / LEXICAL_FILE)) as texts:
        is_same = texts.get_hashes() == manifest.spec.document_hashes
        require_whole(is_same, f"the documents of {LEXICAL_FILE} are not those of the manifest")
        chunk_ids = texts.list_chunk_ids()
    require_whole(len(chunk_ids) == manifest.results.chunks, f"{LEXICAL_FILE} holds {len(chunk_ids)} chunks")
    digest = hashlib.sha256()
    # The vector store has normalised them again; as float16 they are what the build wrote (kept_embeddings.py).
    for rows in iter_embeddings(index_dir, chunk_ids):
        digest.update(rows.astype("float16").astype("float32").tobytes())
    require_whole(digest.hexdigest() == manifest.results.embeddings_sha256, "the embeddings have changed")


def check_canaries(index_dir: Path, model_dir: Path) -> tuple[int, int]:
    """Ask for some chunks by their own text; return how many find themselves, and of how many.

    Raises:
        ArtifactError: too few do, so the model and the index do not go together, or a file of the model is not what its
            card says.
    """
    for name, expected in ModelCard.load(model_dir).files.items():
        if sha256_of(model_dir / name) != expected:
            raise ArtifactError(f"{model_dir / name} is not the file that the model card names. Restore it from git.")
    get_encoder = cache(partial(EmbeddingService.load, model_dir))
    with closing(open_index(index_dir, get_encoder=get_encoder)) as index:
        ids = index.texts.list_chunk_ids()
        canaries = index.texts.get_chunks(ids[:: -(-len(ids) // CANARIES)])
        lost = []
        for chunk in canaries:
            text = embedding_text(chunk)
            hits = index.search(text, limit=5, kind="dense").hits
            nearest = [hit.chunk for hit in hits if hit.score >= hits[0].score - _SAME]
            if text not in map(embedding_text, nearest):
                lost.append(chunk.chunk_id)
    is_enough = len(canaries) - len(lost) >= ENOUGH * len(canaries)
    require_whole(is_enough, f"{len(lost)} of {len(canaries)} chunks are not found by their own text: {lost}")
    return len(canaries) - len(lost), len(canaries)
