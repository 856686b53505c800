"""What the ingestion tests share: the real tokenizer, and settings that point into a test's own folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from src.config import Config
from src.ingestion.chunker import Chunker
from src.records import Document


@pytest.fixture(scope="session")
def model_dir() -> Path:
    return Config.from_env().model_dir.resolve()


@pytest.fixture(scope="session")
def chunker(model_dir: Path) -> Chunker:
    return Chunker(model_dir)


def build_settings(folder: Path, model_dir: Path) -> dict[str, str]:
    """Name the places of a build that reads `documents` of a folder and writes its `data/index`."""
    return {
        "DOCUMENTS_DIR": str(folder / "documents"),
        "INDEX_DIR": str(folder / "data" / "index"),
        "MODEL_DIR": str(model_dir),
    }


@pytest.fixture
def environment(tmp_path: Path, model_dir: Path) -> dict[str, str]:
    """Environment variables of a build in tmp_path, which has no documents yet."""
    (tmp_path / "documents").mkdir()
    return build_settings(tmp_path, model_dir)


@pytest.fixture
def config(environment: dict[str, str]) -> Config:
    return Config.from_env(environment)


@pytest.fixture
def make_document() -> Callable[..., Document]:
    def make(text: str, path: str = "guide.md", title: str = "Guide", page_starts: tuple[int, ...] = ()) -> Document:
        return Document(path, title, text, "0" * 64, page_starts)

    return make
