"""Questions in languages that the model does not know, over manuals written for this test: words find the document."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import pytest

from evals.serving import write_index
from src.config import Config
from src.embedding.embedding_service import EmbeddingService
from src.ingestion.loader import load_document
from src.rag.relevance import Floors, Outcome, judge
from src.records import Document, Filters
from src.retrieval.index import Index, open_index
from tests.conftest import ROOT

FOLDER = ROOT / "tests" / "fixtures" / "languages"


def read_lines(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]


QUESTIONS = read_lines("questions.jsonl")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """The manuals as the English model embeds them."""
    folder = tmp_path_factory.mktemp("languages")
    paths = sorted(path.relative_to(FOLDER / "documents").as_posix() for path in (FOLDER / "documents").rglob("*.md"))
    documents = [load_document(FOLDER / "documents", path) for path in paths]
    (folder / "index").mkdir()
    known = [document for document in documents if isinstance(document, Document)]
    model_dir = Config.from_env().model_dir.resolve()
    write_index(folder / "index", known, model_dir, folder / "kept")
    with closing(open_index(folder / "index", get_encoder=lambda: EmbeddingService.load(model_dir))) as opened:
        yield opened


@pytest.mark.parametrize("language", ["de", "fr", "es", "ja", "zh", "ar"])
def test_words_alone_find_the_right_document_first(index: Index, language: str) -> None:
    """Four in five at least; without blanks between words, with other accents, and from the right to the left."""
    asked = [item for item in QUESTIONS if item["language"] == language]
    hits = [index.search(item["question"], limit=1, kind="lexical").hits for item in asked]
    right = [
        bool(found) and found[0].chunk.document == item["document"] for item, found in zip(asked, hits, strict=True)
    ]
    assert sum(right) >= 8
    assert len(right) == 10


@pytest.mark.parametrize(
    ("word", "document"),
    [
        ("Bescheinigungen", "de/krank.md"),
        ("reembolsar", "es/gastos.md"),
        ("remboursement", "fr/frais.md"),
        ("القطارات", "ar/masarif.md"),
    ],
)
def test_word_is_found_in_another_form_by_the_rules_of_its_language(index: Index, word: str, document: str) -> None:
    """No form in the manual begins like it, and English rules do not make them alike."""
    hits = index.search(word, limit=1, kind="lexical").hits
    assert [hit.chunk.document for hit in hits] == [document]


def test_passages_are_judged_by_words_where_the_model_does_not_know_the_language(index: Index) -> None:
    """By cosines 15 of 24 questions without an answer would be answered as if there were one, and none refused."""
    floors = Floors.of(index.manifest)
    assert len(floors.unknown_documents) == 30

    def ask(name: str) -> Counter[Outcome]:
        questions = [item["question"] for item in read_lines(name)]
        found = [index.find_passages(text, limit=3, filters=Filters(), kind="hybrid") for text in questions]
        return Counter(judge(text, one, floors) for text, one in zip(questions, found, strict=True))

    answered, unanswerable = ask("questions.jsonl"), ask("unanswerable.jsonl")
    assert answered[Outcome.ANSWERED] >= 52
    assert answered[Outcome.NOT_FOUND] == 0
    assert unanswerable[Outcome.ANSWERED] <= 2
    assert unanswerable[Outcome.NOT_FOUND] >= 8
