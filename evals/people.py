"""Scores the running service on questions as people put them: `python -m evals people FILE.jsonl --documents DIR`.

The real build indexes the documents, the real server serves them, and each question goes to `/chat` with its history.
A line of the file has `question`, `history`, `kind`, `documents` and `answers`. These are regular expressions; a right
answer matches all of them, case ignored. `documents` are the paths of which any one holds the answer.
"""

import hashlib
import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.running_server import build, run_server
from evals.evaluation import Measures
from evals.steadiness import measure_steadiness
from src.artifacts import ModelCard

FIRST_WORDS = 60
# Kinds that are counted by themselves; all others are the answerable ones.
APART = ("unanswerable", "followup", "standalone_after")

_MARKER = re.compile(r"\[\d+(?:\s*,\s*\d+)*\](?!\()")
# What a person does not see once the page has drawn the answer, and what stands in its place.
_UNSEEN = (
    (re.compile(r"!?\[([^\]]*)\]\([^)]*\)"), r"\1"),  # a link's or an image's address
    (re.compile(r"</?[A-Za-z][^<>]*>"), " "),
    (re.compile(r"\*\*|`|(?<!\w)[*_]+(?=\w)|(?<=\w)\*+(?!\w)"), ""),  # emphasis and code
)
# Signs of a document's source, which have no business in an answer.
_SOURCE_SIGNS = re.compile(
    r"\{\{|\}\}|\{#|:::|:[a-z]+:`"  # templates, attributes, directives, roles
    r"|</?[a-z]+[ >/]|\]\(|!\[|\|\s*-{3}|^\s*#{1,6} ",  # tags, links, images, tables, headings
    re.MULTILINE | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Judged:
    """What an answer was like.

    Args:
        first: right within its first 60 words.
        at_once: right before its first marker, which is the text of its first citation.
        anywhere: right as a whole.
        uncertain: answered with a `notice`.
        has_gold: a source is of a document that holds the answer.
        has_gold_text: such a source is right by itself.
    """

    kind: str
    first: bool
    at_once: bool
    anywhere: bool
    refused: bool
    uncertain: bool
    has_gold: bool
    has_gold_text: bool
    has_markup: bool


def score_people(questions: Sequence[dict[str, Any]], documents: Path, model_dir: Path, cache_dir: Path) -> Measures:
    """Build the documents' index, which is kept for the next run, serve it and judge every answer."""
    name = hashlib.sha256(f"{documents.resolve()} {ModelCard.load(model_dir).fingerprint}".encode()).hexdigest()[:16]
    places = {"DOCUMENTS_DIR": documents, "MODEL_DIR": model_dir, "INDEX_DIR": cache_dir / f"people-{name}" / "index"}
    environment = {key: str(path.resolve()) for key, path in places.items()}
    build(environment)
    with run_server({**environment, "MAX_REQUESTS": "0"}) as server:
        measures = measure_people(
            judge(question, server.ask(question["question"], history=question.get("history", [])))
            for question in questions
        )
        alone = [question["question"] for question in questions if not question.get("history")]
        steady = measure_steadiness(alone, lambda text: server.ask(text)["sources"][0]["chunk_id"])
        return {**measures, "steady": steady}


def judge(question: dict[str, Any], reply: dict[str, Any]) -> Judged:
    """Compare the body that `/chat` returned with the question's gold."""
    answer, refused = reply["answer"], reply["answered_by"] == "none"
    seen = as_seen(answer)

    def is_right(text: str) -> bool:
        patterns = question["answers"]
        return bool(patterns) and all(re.search(item, text, re.IGNORECASE | re.DOTALL) for item in patterns)

    golds = [source for source in reply["sources"] if _is_one_of(source["document"], question["documents"])]
    return Judged(
        kind=question["kind"],
        first=not refused and is_right(" ".join(seen.split()[:FIRST_WORDS])),
        at_once=not refused and is_right(as_seen(_MARKER.split(answer, maxsplit=1)[0])),
        anywhere=not refused and is_right(seen),
        refused=refused,
        uncertain=not refused and bool(reply.get("notice")),
        has_gold=bool(golds),
        has_gold_text=any(is_right(as_seen(source["text"])) for source in golds),
        has_markup=bool(_SOURCE_SIGNS.search(re.sub(r"\[\d+\]", "", answer))),
    )


def as_seen(text: str) -> str:
    """Take markers, Markdown and HTML out, and make each run of white space one blank."""
    text = _MARKER.sub(" ", text)
    for pattern, seen in _UNSEEN:
        text = html.unescape(pattern.sub(seen, text))
    return " ".join(text.replace("\N{NON-BREAKING HYPHEN}", "-").split())


def measure_people(judged: Iterable[Judged]) -> Measures:
    """Count by kind of question; each measure is a share of its group's questions."""
    groups: dict[str, list[Judged]] = {}
    for item in judged:
        groups.setdefault(item.kind if item.kind in APART else "answerable", []).append(item)
    measures = {name: _measure(name, items) for name, items in sorted(groups.items())}
    everything = [item for items in groups.values() for item in items]
    return {**measures, "all": _shares(everything, markup=[item.has_markup for item in everything])}


def _measure(group: str, items: list[Judged]) -> dict[str, float]:
    if group == "unanswerable":
        refused = [item.refused for item in items]
        doubted = [item.refused or item.uncertain for item in items]
        return _shares(items, refused=refused, refused_or_uncertain=doubted)
    return _shares(
        items,
        right_first=[item.first for item in items],
        right_at_once=[item.at_once for item in items],
        right_anywhere=[item.anywhere for item in items],
        refused_wrongly=[item.refused for item in items],
        uncertain=[item.uncertain for item in items],
        gold_in_sources=[item.has_gold for item in items],
        gold_text_in_sources=[item.has_gold_text for item in items],
    )


def _shares(items: list[Judged], **flags: list[bool]) -> dict[str, float]:
    return {"questions": float(len(items)), **{name: sum(values) / len(values) for name, values in flags.items()}}


def _is_one_of(document: str, golds: Sequence[str]) -> bool:
    return any(document == gold or document.endswith("/" + gold) for gold in golds)
