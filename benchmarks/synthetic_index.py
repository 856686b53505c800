"""An index of any size, made of the sample handbook's sentences through the project's own build functions.

A chunk is some sentences drawn at random; its embedding is the mean of theirs, so that a question of the handbook
finds near chunks among thousands of others. Nothing is embedded, which would take hours.
"""

import hashlib
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from src.artifacts import LEXICAL_FILE, BuildResults, Manifest, measure_files
from src.checksums import write_checksums
from src.records import Chunk, Document
from src.retrieval.text_store import TextStore
from src.retrieval.text_writer import TextWriter
from src.retrieval.vector_store import create_vectors

SENTENCES_PER_CHUNK = 6
CHUNKS_PER_DOCUMENT = 20
CACHE = Path(tempfile.gettempdir()) / "rag512-lab"


def get_synthetic_index(chunks: int, index_dir: Path) -> Path:
    """Return the folder of an index of this size, made of the one in `index_dir` and kept for the next run."""
    manifest = Manifest.load(index_dir)
    folder = CACHE / f"index-{chunks}-{manifest.fingerprint}"
    if not folder.exists():
        shutil.rmtree(aside := folder.with_suffix(".part"), ignore_errors=True)
        aside.mkdir(parents=True)
        _build(aside, chunks, manifest, *_read_sentences(index_dir, manifest.spec.dimension))
        aside.rename(folder)
    return folder


def _read_sentences(index_dir: Path, dimension: int) -> tuple[list[str], NDArray[np.int8]]:
    store = TextStore.open(index_dir / LEXICAL_FILE)
    entries, _ = store.list_documents(limit=10_000, offset=0)
    texts, rows = [], []
    for chunk in (chunk for entry in entries for chunk in store.get_chunks_of(entry.path)):
        texts += [chunk.text[start:end] for start, end in chunk.sentences]
        rows += store.get_sentences_of([chunk.chunk_id], dimension).values()
    store.close()
    return texts, np.concatenate(rows)


def _build(folder: Path, size: int, manifest: Manifest, texts: list[str], rows: NDArray[np.int8]) -> None:
    draw = random.Random(512)
    picks = [draw.sample(range(len(texts)), SENTENCES_PER_CHUNK) for _ in range(size)]
    chunks: list[Chunk] = []
    hashes: dict[str, str] = {}
    with closing(TextWriter(folder / LEXICAL_FILE)) as writer:
        for number, start in enumerate(range(0, size, CHUNKS_PER_DOCUMENT)):
            part = picks[start : start + CHUNKS_PER_DOCUMENT]
            document, parts = _make_document(number, [[texts[i] for i in pick] for pick in part])
            writer.add_document(document, parts)
            hashes[document.path] = document.sha256
            chunks += parts
        for chunk, pick in zip(chunks, picks, strict=True):
            writer.add_sentence_embeddings(chunk.chunk_id, rows[pick])
        writer.finish()
    means = np.stack([rows[pick].astype(np.float32).mean(axis=0) for pick in picks])
    embeddings = means / np.linalg.norm(means, axis=1, keepdims=True)
    create_vectors(folder, [chunk.chunk_id for chunk in chunks], [chunk.document for chunk in chunks], embeddings)
    spec = replace(manifest.spec, document_hashes=hashes, skipped={})
    digest = hashlib.sha256(embeddings.tobytes()).hexdigest()
    floors = manifest.results.relevance_floors
    Manifest(spec, BuildResults(size, digest, floors, measure_files(folder))).save(folder)
    write_checksums(folder)


def _make_document(number: int, passages: list[list[str]]) -> tuple[Document, list[Chunk]]:
    path, title = f"made/{number:05}.md", f"Document {number}"
    texts = [" ".join(sentences) for sentences in passages]
    text = "\n\n".join(texts)
    chunks, start = [], 0
    for place, sentences in enumerate(passages):
        spans = tuple(_spans(sentences))
        end = start + len(texts[place])
        chunks.append(Chunk(f"{path}#{place}", path, title, "", None, texts[place], start, end, spans))
        start = end + 2
    return Document(path, title, text, hashlib.sha256(text.encode()).hexdigest()), chunks


def _spans(sentences: list[str]) -> Iterator[tuple[int, int]]:
    start = 0
    for sentence in sentences:
        yield start, start + len(sentence)
        start += len(sentence) + 1
