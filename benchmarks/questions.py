"""Questions the sample handbook answers, asked in turn by every benchmark."""

import json
from functools import cache
from pathlib import Path

QUESTIONS_FILE = Path(__file__).parent.parent / "evals" / "handbook" / "questions.jsonl"


@cache
def handbook_questions() -> tuple[str, ...]:
    """Read the answerable questions of the sample handbook's evaluation set."""
    rows = [json.loads(line) for line in QUESTIONS_FILE.read_text(encoding="utf-8").splitlines()]
    return tuple(row["question"] for row in rows if row["kind"] in ("single", "shared"))


def handbook_question(number: int) -> str:
    """Return one of them, the first again after the last."""
    questions = handbook_questions()
    return questions[number % len(questions)]


def new_question(number: int) -> str:
    """Return one with its number, so that it is in no cache."""
    return f"{handbook_question(number)} Case {number}."
