"""The offline build: documents in, an index out, swapped in whole at the end; what has not changed is not embedded."""

import hashlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from src.artifacts import (
    BUILD_AGAIN,
    LEXICAL_FILE,
    SCHEMA_VERSION,
    TOKENIZER_FILE,
    Manifest,
    ModelCard,
    measure_files,
)
from src.config import Config
from src.errors import BuildError
from src.ingestion.build_encoder import describe_encoder, load_encoder
from src.ingestion.build_report import BuildReport
from src.ingestion.calibration import choose_floor
from src.ingestion.checksums import write_checksums
from src.ingestion.chunker import Chunker, embedding_text
from src.ingestion.corpus import Corpus
from src.ingestion.index_check import is_index_of
from src.ingestion.index_swap import replacing
from src.ingestion.kept_embeddings import Encoder, KeptEmbeddings, Kind, sentence_texts
from src.ingestion.progress import progress_bar
from src.records import Chunk
from src.retrieval.text_writer import create_text_store
from src.retrieval.vector_store import create_vectors, store_format

# Passages embedded between two entries into the file of kept embeddings: what a kill can cost.
CHUNKS_A_CALL = 64


def build_index(config: Config, *, strict: bool = False, device: str | None = None) -> BuildReport:
    """Build the index of the documents folder with the model at hand, and put it in the old one's place.

    An index that is already what would be built stays as it is, to the byte.

    Args:
        strict: fail where a file cannot be read, instead of leaving it out.
        device: of the sentence-transformers backend, such as `cuda`.

    Raises:
        BuildError: there is nothing to index, another build runs, there is no such device, or the disk refuses; the old
            index stays.
        ModelMissing: there is no embedding model.
    """
    started = time.monotonic()
    card = ModelCard.load(config.model_dir)
    embedded: int | None = None
    get_encoder = cache(partial(load_encoder, config, card, device))
    if device is not None:
        get_encoder()  # so that a device that is not here is told before a large folder is read
    with replacing(config.index_dir) as aside, closing(Corpus(aside.parent)) as corpus:
        corpus.read(config.documents_dir, config.model_dir, card)
        _refuse_skipped(corpus, strict)
        draft = draft_manifest(_splitter(config, card), card, corpus)
        if not is_index_of(config.index_dir, draft, corpus):
            embedded = _build_aside(aside, config, get_encoder, card, draft, corpus)
        KeptEmbeddings.remove(config.index_dir.resolve())
    return _report(config, corpus, embedded, started)


def plan_build(config: Config, *, strict: bool = False) -> BuildReport:
    """Read and split everything and tell what a build would embed; nothing is written but scratch files.

    Raises:
        BuildError: there is nothing to index, or a file cannot be read and `strict` is set.
        ModelMissing: there is no embedding model.
    """
    started = time.monotonic()
    card = ModelCard.load(config.model_dir)
    with TemporaryDirectory() as scratch, closing(Corpus(Path(scratch))) as corpus:
        corpus.read(config.documents_dir, config.model_dir, card)
        _refuse_skipped(corpus, strict)
        draft = draft_manifest(_splitter(config, card), card, corpus)
        if is_index_of(config.index_dir, draft, corpus):
            return _report(config, corpus, None, started)
        with closing(KeptEmbeddings(Path(scratch, "kept"))) as kept:
            kept.add_index(config.index_dir, draft.splitter, card.fingerprint)
            missing = kept.count_missing("passage", map(embedding_text, corpus.iter_chunks()))
            missing += kept.count_missing("sentence", _iter_sentences(corpus))
        return _report(config, corpus, missing, started)


def _refuse_skipped(corpus: Corpus, strict: bool) -> None:
    if strict and corpus.skipped:
        seen = "".join(f"\n  {item.path}: {item.reason}" for item in corpus.skipped)
        raise BuildError(f"--strict: files cannot be read: {len(corpus.skipped)}. The index is as it was.{seen}")


def write_index(
    aside: Path, corpus: Corpus, draft: Manifest, kept: KeptEmbeddings, get_encoder: Callable[[], Encoder]
) -> int:
    """Write every file of an index into an empty folder; return how many texts were embedded.

    Args:
        draft: as `draft_manifest` makes it.
        kept: embeddings that need not be made again; the new ones are added.
        get_encoder: called only where something is to be embedded.
    """
    embedded = _embed(corpus, kept, get_encoder)
    texts_and_rows = _with_sentences(corpus, kept, draft.dimension)
    create_text_store(aside / LEXICAL_FILE, corpus.iter_documents(), texts_and_rows)
    ids, documents, embeddings = _collect_vectors(corpus, kept, draft.dimension)
    create_vectors(aside, ids, documents, embeddings)
    digest = hashlib.sha256()
    for row in embeddings:
        digest.update(row.astype(np.float32).tobytes())
    manifest = replace(draft, embeddings_sha256=digest.hexdigest(), file_bytes=measure_files(aside))
    replace(manifest, relevance_floor=choose_floor(aside, manifest, get_encoder)).save(aside)
    write_checksums(aside)
    return embedded


def _build_aside(
    aside: Path, config: Config, get_encoder: Callable[[], Encoder], card: ModelCard, draft: Manifest, corpus: Corpus
) -> int:
    fingerprint = hashlib.sha256(f"{card.fingerprint}{config.embedding_backend}".encode()).hexdigest()[:16]
    try:
        with closing(KeptEmbeddings.beside(config.index_dir.resolve(), fingerprint)) as kept:
            kept.add_index(config.index_dir, draft.splitter, card.fingerprint)
            return write_index(aside, corpus, draft, kept, get_encoder)
    except sqlite3.Error as exc:
        raise BuildError(f"The index cannot be written to {aside.parent} ({exc}). {BUILD_AGAIN}") from exc


def _embed(corpus: Corpus, kept: KeptEmbeddings, get_encoder: Callable[[], Encoder]) -> int:
    """Embed what is not kept yet, passages and their sentences."""
    embedded = 0
    with ExitStack() as stack:
        bar = stack.enter_context(progress_bar("Embedding", corpus.chunks, "passages"))
        for call in _calls(corpus):
            wanted: dict[Kind, list[str]] = {
                "passage": [embedding_text(chunk) for chunk in call],
                "sentence": [text for chunk in call for text in sentence_texts(chunk)],
            }
            for kind, texts in wanted.items():
                missing = kept.find_missing(kind, texts)
                if missing:
                    kept.add(kind, missing, get_encoder().embed(missing))
                    embedded += len(missing)
            bar.update(len(call))
    return embedded


def _calls(corpus: Corpus) -> Iterator[list[Chunk]]:
    call: list[Chunk] = []
    for chunk in corpus.iter_chunks():
        call.append(chunk)
        if len(call) == CHUNKS_A_CALL:
            yield call
            call = []
    if call:
        yield call


def _iter_sentences(corpus: Corpus) -> Iterator[str]:
    return (text for chunk in corpus.iter_chunks() for text in sentence_texts(chunk))


def _with_sentences(corpus: Corpus, kept: KeptEmbeddings, dimension: int) -> Iterator[tuple[Chunk, NDArray[np.int8]]]:
    for chunk in corpus.iter_chunks():
        yield chunk, kept.get("sentence", sentence_texts(chunk), dimension).astype(np.int8, copy=False)


def _collect_vectors(
    corpus: Corpus, kept: KeptEmbeddings, dimension: int
) -> tuple[Sequence[str], Sequence[str], NDArray[np.float16]]:
    """Return the passages' ids, their documents' paths, and their embeddings: (passages, dimension)."""
    ids: list[str] = []
    documents: list[str] = []
    embeddings = np.empty((corpus.chunks, dimension), dtype=np.float16)
    for number, chunk in enumerate(corpus.iter_chunks()):
        ids.append(chunk.chunk_id)
        documents.append(chunk.document)
        embeddings[number] = kept.get("passage", [embedding_text(chunk)], dimension)[0]
    return ids, documents, embeddings


def _splitter(config: Config, card: ModelCard) -> str:
    return Chunker(config.model_dir / TOKENIZER_FILE, card.max_tokens).description + describe_encoder(config)


def draft_manifest(splitter: str, card: ModelCard, corpus: Corpus) -> Manifest:
    """Make the manifest without what only the written index can tell."""
    return Manifest(
        schema_version=SCHEMA_VERSION,
        model_name=card.name,
        model_fingerprint=card.fingerprint,
        dimension=card.dimension,
        space="cosine",
        splitter=splitter,
        store_format=store_format(),
        documents=len(corpus.hashes),
        chunks=corpus.chunks,
        document_hashes=corpus.hashes,
        embeddings_sha256="",
        relevance_floor=None,
        skipped={item.path: item.reason for item in corpus.skipped},
        file_bytes={},
    )


def _report(config: Config, corpus: Corpus, embedded: int | None, started: float) -> BuildReport:
    return BuildReport(
        documents=len(corpus.hashes),
        chunks=corpus.chunks,
        sentences=corpus.sentences,
        skipped=tuple(corpus.skipped),
        embedded=embedded,
        seconds=time.monotonic() - started,
        file_bytes=measure_files(config.index_dir),
        memory_limit_mb=config.memory_limit_mb,
    )
