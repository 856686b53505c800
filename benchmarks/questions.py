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
