"""The command, on the committed index and on a set of one question."""

import json
import os
import subprocess
import sys
from pathlib import Path

from evals.baseline import BASELINE_FILE, MAY_FALL, MAY_RISE
from tests.conftest import ROOT, of_the_sample


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    clean = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    command = [sys.executable, "-W", "error", "-m", "evals", *arguments]
    return subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, timeout=300, check=False)


@of_the_sample
def test_handbook_is_answered_no_worse_than_before() -> None:
    """Retrieval, answers and refusals of data/index against evals/baseline.json; every measure has its tolerance."""
    done = run("--json", "--compare")
    assert done.returncode == 0, done.stderr
    measures = json.loads(done.stdout)["handbook"]
    kept = json.loads(BASELINE_FILE.read_text())["handbook"]
    assert set(measures) == {*kept, "cpu_ms"}
    assert {key for group in kept.values() for key in group} <= {*MAY_FALL, *MAY_RISE, "questions"}


def test_set_that_was_never_kept_fails_the_comparison(tmp_path: Path) -> None:
    """Silence would look like success. One passage, one question: it is found, cited and right."""
    passage = {"passage_id": "p", "title": "Leave", "text": "Every employee has 27 days of paid leave a year."}
    question = {"id": "1", "question": "How many days of paid leave has an employee?", "answers": ["27 days"],
                "passage_id": "p", "answerable": True}  # fmt: skip
    folder = tmp_path / "new_set"
    folder.mkdir()
    (folder / "passages.jsonl").write_text(json.dumps(passage))
    (folder / "questions.jsonl").write_text(json.dumps(question))
    done = run(str(folder), "--json", "--compare", "--cache-dir", str(tmp_path / "cache"))
    assert done.returncode == 1
    assert "new_set: no results are kept" in done.stderr
    results = json.loads(done.stdout)["new_set"]
    assert {results["answers"]["has_gold"], results["answers"]["cites_gold"], results["hybrid"]["mrr"]} == {1.0}
