"""Answers to people's questions are judged as a person would judge them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evals.people import FIRST_WORDS, Judged, as_seen, judge, measure_people
from tests.conftest import DOCUMENTS, ROOT

QUESTION = {"kind": "number", "answers": [r"\b27\W+days", "leave"], "documents": ["people/leave.md"]}


def reply(answer: str, by: str = "extractive", document: str = "people/leave.md", text: str = "") -> dict[str, Any]:
    return {"answer": answer, "answered_by": by, "notice": None, "sources": [{"document": document, "text": text}]}


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("**27** `days`\nof *leave* [1], [2, 3].", "27 days of leave , ."),
        ("See [the form](/f.pdf) [1](x) ![](a.png)", "See the form 1"),
        ("<b>Fish&nbsp;&amp; chips</b>", "Fish & chips"),
        ("snake_case and 2*3", "snake_case and 2*3"),
    ],
)
def test_text_is_compared_as_a_person_sees_it(text: str, seen: str) -> None:
    """Markers, addresses, emphasis and tags are not seen; a name with an underscore is."""
    assert as_seen(text) == seen


def test_right_answer_matches_all_patterns() -> None:
    """One fact of two is not the answer."""
    assert judge(QUESTION, reply("Leave is 27 days a year.")).anywhere
    assert not judge(QUESTION, reply("It is 27 days a year.")).anywhere


def test_answer_after_sixty_words_is_not_first() -> None:
    """A person does not read on."""
    answers = ["word " * (FIRST_WORDS - count) + "27 days of leave" for count in (4, 3)]
    assert [judge(QUESTION, reply(answer)).first for answer in answers] == [True, False]


def test_answer_of_the_second_citation_is_not_at_once() -> None:
    """What stands before the first marker is the first citation's text."""
    judged = judge(QUESTION, reply("Leave is a right. [1] It is 27 days of leave. [2]"))
    assert (judged.at_once, judged.first, judged.anywhere) == (False, True, True)


def test_refusal_is_never_right() -> None:
    """Even if it names the fact."""
    judged = judge(QUESTION, reply("27 days of leave?", by="none"))
    assert (judged.refused, judged.uncertain, judged.first, judged.at_once, judged.anywhere) == (
        True, False, False, False, False
    )  # fmt: skip


def test_gold_is_a_source_of_a_gold_document_that_holds_the_answer() -> None:
    """The right words in another document do not count; a folder before the path does no harm."""
    found = judge(QUESTION, reply("", document="docs/people/leave.md", text="27 days of leave"))
    assert (found.has_gold, found.has_gold_text) == (True, True)
    vague = judge(QUESTION, reply("", text="Leave is a right."))
    assert (vague.has_gold, vague.has_gold_text) == (True, False)
    other = judge(QUESTION, reply("", document="my-people/leave.md", text="27 days of leave"))
    assert (other.has_gold, other.has_gold_text) == (False, False)


@pytest.mark.parametrize("answer", ["<td>27", "| a |\n|---|", "# Leave", "[form](f.pdf)", "{{ x }}", ":ref:`x`", ":::"])
def test_signs_of_the_source_are_markup(answer: str) -> None:
    """HTML, tables, headings, links, templates and directives are not prose."""
    assert judge(QUESTION, reply(answer)).has_markup
    assert not judge(QUESTION, reply("Leave is 27 days [1]: 2 < 3, a | b, C# {x}.")).has_markup


def judged(kind: str, *, right: bool = False, refused: bool = False, uncertain: bool = False) -> Judged:
    return Judged(kind, right, right, right, refused, uncertain, True, right, False)


def test_kinds_that_ask_something_else_are_counted_apart() -> None:
    """Two answerable ones, one right and one refused; three unanswerable, one refused and one uncertain."""
    measures = measure_people(
        [
            judged("number", right=True, uncertain=True),
            judged("list", refused=True),
            judged("unanswerable", refused=True),
            judged("unanswerable", uncertain=True),
            judged("unanswerable", right=True),
            judged("followup", right=True),
        ]
    )
    assert measures["answerable"] == {
        "questions": 2, "right_first": 1 / 2, "right_at_once": 1 / 2, "right_anywhere": 1 / 2, "refused_wrongly": 1 / 2,
        "uncertain": 1 / 2, "gold_in_sources": 1, "gold_text_in_sources": 1 / 2,
    }  # fmt: skip
    assert measures["unanswerable"] == {"questions": 3, "refused": 1 / 3, "refused_or_uncertain": 2 / 3}
    assert measures["followup"]["right_anywhere"] == 1
    assert measures["all"] == {"questions": 6, "markup": 0}


def test_command_builds_serves_asks_and_counts(tmp_path: Path) -> None:
    """From a file of questions and a folder of documents to the measures, through the real server."""
    rows = [
        {"question": "How many days of annual leave do employees get?", "answers": [r"\b27\W+days"],
         "documents": ["people/annual-leave.md"], "kind": "number", "history": []},
        {"question": "boiling point of tungsten on jupiter", "answers": [], "documents": [], "kind": "unanswerable"},
    ]  # fmt: skip
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    arguments = [str(tmp_path / "mine.jsonl"), "--documents", str(DOCUMENTS), "--cache-dir", str(tmp_path), "--json"]
    command = [sys.executable, "-m", "evals", "people", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    measures = json.loads(done.stdout)["people/mine"]
    assert measures["answerable"]["right_anywhere"] == measures["answerable"]["gold_text_in_sources"] == 1
    assert measures["unanswerable"]["refused"] == 1
