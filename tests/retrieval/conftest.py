"""A real index of the small corpus, built once."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from src.artifacts import LEXICAL_FILE, BuildResults, IndexSpec, Manifest
from src.records import Chunk, Document
from src.retrieval.text_store import TextStore
from src.retrieval.vector_store import create_vectors
from tests.fakes import DIMENSION, WordEncoder
from tests.retrieval.corpus import CHUNKS, DOCUMENTS, write_texts


def build_index(directory: Path, documents: Sequence[Document], chunks: Sequence[Chunk]) -> None:
    write_texts(directory / LEXICAL_FILE, documents, chunks)
    embeddings = WordEncoder().embed([f"{chunk.title} {chunk.text}" for chunk in chunks])
    ids, paths = [chunk.chunk_id for chunk in chunks], [chunk.document for chunk in chunks]
    create_vectors(directory, ids, paths, embeddings)


@pytest.fixture(scope="session")
def index_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("index")
    build_index(directory, DOCUMENTS, CHUNKS)
    return directory


@pytest.fixture
def texts(index_dir: Path) -> Iterator[TextStore]:
    store = TextStore.open(index_dir / LEXICAL_FILE)
    yield store
    store.close()


def make_manifest(chunks: int) -> Manifest:
    spec = IndexSpec(2, "chroma 1.3", "words", "f", DIMENSION, "onnx", "s", {}, {}, "")
    return Manifest(spec, BuildResults(chunks, "", None, {}))


@pytest.fixture
def manifest() -> Manifest:
    return make_manifest(len(CHUNKS))
