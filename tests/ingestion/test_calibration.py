"""The relevance floors that a build leaves in the manifest."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from src.artifacts import MODEL_CARD_FILE, Manifest
from src.config import Config
from src.embedding.embedding_service import EmbeddingService
from src.ingestion.calibration import UNRELATED_QUESTIONS
from src.ingestion.index_builder import build_index
from src.rag.rag_pipeline import RAGPipeline
from src.rag.relevance import DEFAULT_FLOOR_MODEL, Floors
from src.records import MemoryMode
from src.retrieval.index import open_index

LEAVE = "# Leave\n\nEvery employee has 27 days of paid leave in a year. Ask in Roster at least two weeks before.\n"


@pytest.fixture
def config(config: Config, tmp_path: Path) -> Config:
    """Settings with a model directory of our own, whose card may be edited."""
    (config.documents_dir / "leave.md").write_text(LEAVE)
    model_dir = tmp_path / "model"
    model_dir.mkdir()
    for file in config.model_dir.iterdir():
        if file.is_file():
            (model_dir / file.name).symlink_to(file)
    return replace(config, model_dir=model_dir)


def rename_model(config: Config, name: str) -> None:
    path = config.model_dir / MODEL_CARD_FILE
    card = json.loads(path.read_text())
    path.unlink()
    path.write_text(json.dumps({**card, "name": name}))


def test_default_model_has_the_floors_that_were_measured(config: Config) -> None:
    """They rest on questions with known answers, so the build leaves none of its own."""
    rename_model(config, DEFAULT_FLOOR_MODEL)
    build_index(config)
    assert Manifest.load(config.index_dir).results.relevance_floors is None


def test_other_model_gets_floors_that_part_related_from_unrelated(config: Config) -> None:
    """Calibrated by questions that the documents do not answer; not the default model's."""
    rename_model(config, "somebody/another-model")
    build_index(config)
    manifest = Manifest.load(config.index_dir)
    assert manifest.results.relevance_floors is not None
    refuse, certain = manifest.results.relevance_floors
    assert refuse < certain
    service = EmbeddingService.load(config.model_dir)
    index = open_index(config.index_dir, model_dir=config.model_dir, get_encoder=lambda: service)
    pipeline = RAGPipeline(index, None, Floors(refuse, certain))

    def is_answered(question: str) -> bool:
        return pipeline.answer(question, top_k=5, mode=MemoryMode.NORMAL).grounded

    assert is_answered("How many days of paid leave does an employee have?")
    assert not is_answered("Which river flows through Vienna?")
    index.close()


def test_unrelated_questions_are_questions() -> None:
    """One a line, none twice, enough for a quartile to mean something."""
    questions = UNRELATED_QUESTIONS.read_text(encoding="utf-8").splitlines()
    assert len(questions) == len(set(questions)) >= 50
    assert all(question.endswith("?") for question in questions)
