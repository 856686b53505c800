"""The questions that the page starts with: the file's, or those of the headings."""

from pathlib import Path
from typing import Any

import pytest

from src.config import Config
from src.records import Chunk
from src.web.suggestions import suggest_questions
from tests.conftest import ROOMY, ROOT, Server, of_the_sample


class Documents:
    """A store of documents, each a title and the headings of its passages."""

    def __init__(self, **documents: tuple[str, list[str]]) -> None:
        self.documents = documents

    def list_documents(self, limit: int, offset: int) -> tuple[list[object], int]:
        entries = [type("Entry", (), {"path": path, "chunks": len(self.documents[path][1])}) for path in self.documents]
        return list(entries[offset : offset + limit]), len(entries)

    def get_chunks(self, chunk_ids: list[str]) -> list[Chunk]:
        found = []
        for chunk_id in chunk_ids:
            path, number = chunk_id.split("#")
            title, headings = self.documents[path]
            found.append(Chunk(chunk_id, path, title, headings[int(number)], None, "", 0, 0, ()))
        return found


def suggest(folder: Path, **documents: tuple[str, list[str]]) -> list[str]:
    return suggest_questions(Documents(**documents), folder / "index")  # type: ignore[arg-type]


def test_lines_of_the_file_come_first(tmp_path: Path) -> None:
    """Blank lines and comments are no questions; the file stands beside the index."""
    (tmp_path / "suggestions.txt").write_text("# by hand\nWhen is payday?\n\n  Who signs?  \n")
    assert suggest(tmp_path, a=("A", ["What is it?"])) == ["When is payday?", "Who signs?"]


def test_file_that_is_not_utf8_is_passed_over_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A person writes it by hand, with any editor."""
    (tmp_path / "suggestions.txt").write_bytes("Was gilt für Eltern?".encode("cp1252"))
    assert suggest(tmp_path, a=("A", ["What is it?"])) == ["What is it?"]
    assert "Save it as UTF-8" in caplog.text


def test_headings_are_looked_at_once_for_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every page that is opened asks for the suggestions; an index stays as it is while it is open."""
    store: Any = Documents(leave=("Parental leave", ["How long?"]))
    assert suggest_questions(store, tmp_path / "index") == ["How long?"]
    monkeypatch.setattr(store, "get_chunks", None)
    assert suggest_questions(store, tmp_path / "index") == ["How long?"]
    assert suggest(tmp_path, other=("Other", ["How much?"])) == ["How much?"]


def test_headings_that_are_questions_come_before_topics(tmp_path: Path) -> None:
    """A question stands as it is, a short heading after its document's title, without its number."""
    assert suggest(
        tmp_path,
        leave=("Parental leave", ["", "2.1 How long", "Basics > What if I fall ill?"]),
        travel=("Travel", ["3. Hotels and meals"]),
    ) == ["What if I fall ill?", "Travel: Hotels and meals"]


def test_nothing_is_made_of_file_names_and_long_headings(tmp_path: Path) -> None:
    """Rather no suggestion than one that nobody would ask."""
    assert (
        suggest(
            tmp_path,
            a=("minutes_2024-03-11", ["Decisions"]),
            b=("report.pdf", ["Summary"]),
            c=("A title", ["A heading that goes on for so long that it is a sentence"]),
            d=("No headings", ["", ""]),
        )
        == []
    )


def words(count: int, end: str = "") -> str:
    return " ".join(["Word"] * count) + end


def test_words_of_a_heading_are_few(tmp_path: Path) -> None:
    """A question of 14, a title and a topic of 7 each."""
    documents = {
        "a": ("A", [words(15, "?"), words(14, "?")]),
        "b": ("B", [words(8), words(7)]),
        "c": (words(8), ["Topic"]),
        "d": (words(7), ["Topic"]),
    }
    assert suggest(tmp_path, **documents) == [words(14, "?"), "B: " + words(7), words(7) + ": Topic"]


def test_four_questions_are_spread_over_the_documents(tmp_path: Path) -> None:
    """Of eight documents that lie apart in the index the first four that have one; none is offered twice."""
    pages = {f"d{number}": ("T", [f"What of {number}?"]) for number in range(24)}
    assert suggest(tmp_path, **pages) == [f"What of {number}?" for number in (0, 3, 6, 9)]
    assert suggest(tmp_path, a=("A", ["Why?"]), b=("B", ["Why?"])) == ["Why?"]


def test_file_gives_six_lines_at_most(tmp_path: Path) -> None:
    """More would fill the page."""
    (tmp_path / "suggestions.txt").write_text("\n".join(f"Q{number}?" for number in range(9)))
    assert suggest(tmp_path) == [f"Q{number}?" for number in range(6)]


@of_the_sample
def test_samples_questions_are_answered() -> None:
    """The first thing that a new user presses gives an answer."""
    from src.app_factory import create_app

    client = create_app(Config.from_env({**ROOMY, "RATE_LIMIT": "off"})).test_client()
    questions = client.get("/suggestions").get_json()["suggestions"]
    assert questions == (ROOT / "data" / "suggestions.txt").read_text().splitlines()
    assert 4 <= len(questions) <= 6
    for question in questions:
        assert client.post("/chat", json={"message": question}).get_json()["grounded"], question


def test_suggestions_of_the_server_are_of_its_own_documents(server: Server) -> None:
    """An index without a file beside it names its own titles or asks its own headings."""
    questions = server.get("/suggestions").json()["suggestions"]
    titles = {entry["title"] for entry in server.get("/documents").json()["documents"]}
    assert len(questions) == 4
    assert all(question.endswith("?") or question.partition(": ")[0] in titles for question in questions)
