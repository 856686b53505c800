"""Evaluation sets as the project's own records: BEIR folders, and folders of question lines."""

import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from src.ingestion.loader import list_files, load_document
from src.records import Chunk, Document, Turn

SUFFIX = ".txt"  # passage lines are plain text, and the splitter goes by the name


@dataclass(frozen=True, slots=True)
class Gold:
    """A passage that answers a question.

    Args:
        page: only this page of the document, or the one after it, where the text often goes on.
        quote: only a passage that holds these words; white space is collapsed on both sides.
    """

    document: str
    grade: int = 1
    page: int | None = None
    quote: str = ""

    @property
    def is_whole_document(self) -> bool:
        """Tell whether every passage of the document counts."""
        return self.page is None and not self.quote

    def is_in(self, chunk: Chunk) -> bool:
        """Tell whether a passage of the index is this one."""
        on_page = self.page is None or chunk.page in (self.page, self.page + 1)
        return chunk.document == self.document and on_page and _collapse(self.quote) in _collapse(chunk.text)


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Args:
        answers: what the answer must hold, each part in one of its forms; empty where no answer is given.
        golds: where the answer is; empty where the documents do not answer.
    """

    question_id: str
    text: str
    answers: tuple[tuple[str, ...], ...] = ()
    golds: tuple[Gold, ...] = ()
    history: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True)
class EvalSet:
    """One set.

    Args:
        documents: None: the set asks about the index that is served (`INDEX_DIR`).
        has_answers: False: only the retrieval can be measured.
    """

    name: str
    documents: tuple[Document, ...] | None
    questions: tuple[Question, ...]
    has_answers: bool = True

    def sample(self, limit: int | None) -> "EvalSet":
        """Keep `limit` questions, the same every time: those whose id hashes lowest."""
        ordered = sorted(self.questions, key=lambda item: hashlib.sha256(item.question_id.encode()).digest())
        return replace(self, questions=tuple(ordered[:limit]))


def load_set(folder: Path) -> EvalSet:
    """Read a set; question lines win over BEIR files where both are there, because they say more.

    Raises:
        FileNotFoundError: the folder is neither form.
    """
    if (folder / "questions.jsonl").is_file():
        questions = tuple(map(_question, read_rows(folder / "questions.jsonl")))
        return EvalSet(folder.name, _documents(folder), questions)
    relevant: dict[str, list[Gold]] = {}
    with (folder / "qrels" / "test.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            gold = Gold(row["corpus-id"] + SUFFIX, int(row["score"]))
            relevant.setdefault(row["query-id"], []).append(gold)
    questions = tuple(
        Question(row["_id"], row["text"], golds=tuple(relevant[row["_id"]]))
        for row in read_rows(folder / "queries.jsonl")
        if row["_id"] in relevant
    )
    documents = tuple(_document(row["_id"], row) for row in read_rows(folder / "corpus.jsonl"))
    return EvalSet(folder.name, documents, questions, has_answers=False)


def _documents(folder: Path) -> tuple[Document, ...] | None:
    """Read the files in `docs` as the build does, or else the passage lines, each as a document of its own."""
    if (folder / "docs").is_dir():
        paths, _ = list_files(folder / "docs")
        found = (load_document(folder / "docs", path) for path in paths)
        return tuple(item for item in found if isinstance(item, Document))
    if (folder / "passages.jsonl").is_file():
        return tuple(_document(row["passage_id"], row) for row in read_rows(folder / "passages.jsonl"))
    return None


def _question(row: dict[str, Any]) -> Question:
    history = tuple(Turn(turn["role"], turn["content"]) for turn in row.get("history", ()))
    if "documents" in row:
        golds = tuple(Gold(path, quote=row["quote"]) for path in row["documents"])
        parts = tuple((answer,) for answer in row["answers"])  # each must be there
    elif row["answerable"]:
        golds = tuple(map(_gold, row.get("passage_ids") or [row["passage_id"]]))
        parts = (tuple(row["answers"]),)  # one of them must
    else:
        golds, parts = (), ()
    return Question(row["id"], row["question"], parts, golds, history)


def _gold(passage_id: str) -> Gold:
    document, is_page, page = passage_id.partition("#page=")
    return Gold(document, page=int(page)) if is_page else Gold(passage_id + SUFFIX)


def _document(name: str, row: dict[str, Any]) -> Document:
    return Document(name + SUFFIX, row["title"], row["text"], sha256="")


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Read a file of JSON lines."""
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def _collapse(text: str) -> str:
    return " ".join(text.split())
