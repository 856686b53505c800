"""A real index of the small corpus, built once."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from src.artifacts import LEXICAL_FILE, BuildResults, IndexSpec, Manifest
from src.records import Chunk, Document
from src.retrieval.text_store import TextStore
from src.retrieval.text_writer import create_text_store
from src.retrieval.vector_store import create_vectors
from tests.fakes import DIMENSION, WordEncoder, sentence_embeddings
from tests.retrieval.corpus import CHUNKS, DOCUMENTS


def build_index(directory: Path, documents: Sequence[Document], chunks: Sequence[Chunk]) -> None:
    create_text_store(directory / LEXICAL_FILE, documents, ((c, sentence_embeddings(c)) for c in chunks))
    embeddings = WordEncoder().embed([f"{chunk.title} {chunk.text}" for chunk in chunks])
    ids, paths = [chunk.chunk_id for chunk in chunks], [chunk.document for chunk in chunks]
    create_vectors(directory, ids, paths, embeddings)


@pytest.fixture(scope="session")
def index_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("index")
    build_index(directory, DOCUMENTS, CHUNKS)
    return directory


@pytest.fixture
def passages(index_dir: Path) -> Iterator[TextStore]:
    store = TextStore.open(index_dir / LEXICAL_FILE)
    yield store
    store.close()


@pytest.fixture
def manifest() -> Manifest:
    spec = IndexSpec(2, "chroma 1.3", "words", "f", DIMENSION, "onnx", "s", {}, {}, "")
    return Manifest(spec, BuildResults(len(CHUNKS), "", None, {}))
