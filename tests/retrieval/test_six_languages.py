"""Questions in languages that the model does not know, over manuals written for this test: words find the document."""

import json
from collections import Counter
from contextlib import closing

import pytest

from src.config import Config
from src.ingestion.index_builder import write_index
from src.ingestion.loader import load_document
from src.records import Document
from src.retrieval.index import open_index
from tests.conftest import ROOT

FOLDER = ROOT / "tests" / "fixtures" / "languages"
QUESTIONS = [json.loads(line) for line in (FOLDER / "questions.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def first_documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The first document that words find, by question; "" where they find none."""
    folder = tmp_path_factory.mktemp("languages")
    paths = sorted(path.relative_to(FOLDER / "documents").as_posix() for path in (FOLDER / "documents").rglob("*.md"))
    documents = [load_document(FOLDER / "documents", path) for path in paths]
    (folder / "index").mkdir()
    known = [document for document in documents if isinstance(document, Document)]
    write_index(folder / "index", known, Config.from_env().model_dir.resolve(), folder / "kept")
    with closing(open_index(folder / "index")) as index:
        hits = {item["question"]: index.search(item["question"], limit=1, kind="lexical").hits for item in QUESTIONS}
    return {question: found[0].chunk.document if found else "" for question, found in hits.items()}


@pytest.mark.parametrize("language", ["de", "fr", "es", "ja", "zh", "ar"])
def test_words_alone_find_the_right_document_first(first_documents: dict[str, str], language: str) -> None:
    """Four in five at least; without blanks between words, with other accents, and from the right to the left."""
    right = Counter(first_documents[item["question"]] == item["document"] for item in QUESTIONS
                    if item["language"] == language)  # fmt: skip
    assert right[True] >= 8
    assert right.total() == 10
