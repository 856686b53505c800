"""What the ingestion tests share: the real tokenizer, and settings that point into a test's own folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from src.artifacts import TOKENIZER_FILE, ModelCard
from src.config import Config
from src.ingestion.chunker import Chunker
from src.records import Document


@pytest.fixture(scope="session")
def model_dir() -> Path:
    return Config.from_env().model_dir.resolve()


@pytest.fixture(scope="session")
def chunker(model_dir: Path) -> Chunker:
    return Chunker(model_dir / TOKENIZER_FILE, ModelCard.load(model_dir).max_tokens)


@pytest.fixture
def environment(tmp_path: Path, model_dir: Path) -> dict[str, str]:
    """Environment variables of a build that reads tmp_path/documents and writes tmp_path/data/index."""
    (tmp_path / "documents").mkdir()
    return {
        "DOCUMENTS_DIR": str(tmp_path / "documents"),
        "INDEX_DIR": str(tmp_path / "data" / "index"),
        "MODEL_DIR": str(model_dir),
    }


@pytest.fixture
def make_document() -> Callable[..., Document]:
    def make(text: str, path: str = "guide.md", title: str = "Guide", page_starts: tuple[int, ...] = ()) -> Document:
        return Document(path, title, text, "0" * 64, page_starts)

    return make
