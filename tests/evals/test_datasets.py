"""Evaluation sets are read as they are written."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from evals.__main__ import HANDBOOK
from evals.datasets import Gold, load_set
from src.artifacts import LEXICAL_FILE
from src.records import Chunk
from src.retrieval.text_store import TextStore
from tests.conftest import ROOT, of_the_sample


def write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    path.write_text("\n".join(map(json.dumps, rows)))


def make_chunk(text: str, page: int | None = None) -> Chunk:
    return Chunk("a.pdf#0", "a.pdf", "A", "", page, text, 0, len(text), ())


@pytest.mark.parametrize(("page", "expected"), [(6, False), (7, True), (8, True), (9, False), (None, False)])
def test_page_and_the_next_are_gold(page: int | None, expected: bool) -> None:
    """What begins on the cited page may go on on the next."""
    assert Gold("a.pdf", page=7).is_in(make_chunk("Text", page)) is expected


@pytest.mark.parametrize(("text", "expected"), [("You\nhave  27 days.", True), ("You have 28 days.", False)])
def test_quote_is_gold_whatever_the_white_space(text: str, expected: bool) -> None:
    """A line break of the document is a blank of the quote."""
    assert Gold("a.pdf", quote="have 27 days").is_in(make_chunk(text)) is expected


def test_other_document_is_not_gold() -> None:
    """The same words elsewhere are not the passage."""
    assert not Gold("b.pdf", quote="27 days").is_in(make_chunk("27 days"))


def test_passage_and_question_lines_are_read(tmp_path: Path) -> None:
    """A passage is a document; one of the answers is enough; an unanswerable question has no gold."""
    write_lines(tmp_path / "passages.jsonl", [{"passage_id": "p#0", "title": "P", "text": "Text."}])
    about = {"question": "Q?", "passage_id": "p#0"}
    rows = [{"id": "1", **about, "answers": ["A", "B"], "answerable": True},
            {"id": "2", **about, "answers": [], "answerable": False}]  # fmt: skip
    write_lines(tmp_path / "questions.jsonl", rows)
    dataset = load_set(tmp_path)
    assert dataset.documents is not None
    assert [document.path for document in dataset.documents] == ["p#0.txt"]
    assert [question.answers for question in dataset.questions] == [(("A", "B"),), ()]
    assert [question.golds for question in dataset.questions] == [(Gold("p#0.txt"),), ()]


def test_files_in_docs_are_read_as_the_build_does(tmp_path: Path) -> None:
    """A passage id with a page is a page of the file."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "leave.md").write_text("# Leave\n\nYou have 27 days.\n")
    row = {"id": "1", "question": "Q?", "answers": ["A"], "passage_ids": ["leave.md#page=3"], "answerable": True}
    write_lines(tmp_path / "questions.jsonl", [row])
    dataset = load_set(tmp_path)
    assert dataset.documents is not None
    assert [(document.path, document.title) for document in dataset.documents] == [("leave.md", "Leave")]
    assert dataset.questions[0].golds == (Gold("leave.md", page=3),)


def test_beir_folder_is_read(tmp_path: Path) -> None:
    """Questions without a judgement are left out; grades are kept."""
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n1\td1\t2\n1\td2\t0\n")
    write_lines(tmp_path / "corpus.jsonl", [{"_id": name, "title": "", "text": "Text."} for name in ("d1", "d2")])
    write_lines(tmp_path / "queries.jsonl", [{"_id": "1", "text": "Q?"}, {"_id": "2", "text": "R?"}])
    dataset = load_set(tmp_path)
    assert [question.golds for question in dataset.questions] == [(Gold("d1.txt", 2), Gold("d2.txt", 0))]
    assert not dataset.has_answers


def test_sample_does_not_depend_on_the_order_of_the_lines(tmp_path: Path) -> None:
    """The same three of nine questions, forwards and backwards."""
    rows = [{"id": str(n), "question": f"Q{n}", "answers": [], "answerable": False} for n in range(9)]
    samples = []
    for order in (rows, rows[::-1]):
        write_lines(tmp_path / "questions.jsonl", order)
        samples.append([question.question_id for question in load_set(tmp_path).sample(3).questions])
    assert samples[0] == samples[1]
    assert len(samples[0]) == 3


@of_the_sample
def test_every_gold_quote_of_the_handbook_is_in_one_passage_of_the_index() -> None:
    """Or the question could not be answered right: the questions and `data/index` belong together."""
    questions = load_set(HANDBOOK).questions
    passages = TextStore.open(ROOT / "data" / "index" / LEXICAL_FILE)
    lost = [
        f"{question.question_id}: {gold.quote}"
        for question in questions
        for gold in question.golds
        if not any(gold.is_in(chunk) for chunk in passages.get_chunks_of(gold.document))
    ]
    passages.close()
    assert questions
    assert lost == []
