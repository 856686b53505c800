"""What the README shows is so: its commands run, its output is the real one, its links lead somewhere."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks.running_server import run_server
from tests.conftest import ROOT, of_the_sample

README = (ROOT / "README.md").read_text()
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
CURL, *_ = re.findall(r"^curl .*$", README, re.MULTILINE)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a new user has: a clone, and what `run.sh` installs into it."""
    folder = tmp_path_factory.mktemp("new-user") / "rag512"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    return [line.split(" #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


def test_every_command_is_one_that_a_test_runs() -> None:
    """A new command in the README needs a test."""
    run = {"./run.sh", "./run.sh test", "./run.sh build", "git add data", "cp .env.example .env", CURL}
    assert set(commands()) == run | {'git commit -m "Index our documents"'}


@of_the_sample
def test_shown_answer_is_the_real_one() -> None:
    """The curl line prints what the README shows, but for times and the request's id."""
    with run_server() as server:
        command = ["bash", "-c", CURL.replace("http://127.0.0.1:8000", server.url)]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (shown,) = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    assert without_changing(json.loads(printed)) == without_changing(json.loads(shown))


def without_changing(body: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in body.items() if name not in ("timings_ms", "request_id")}


@pytest.mark.skipif(not (ROOT / ".venv").exists(), reason="run.sh's own .venv is not there; ./run.sh test makes it")
class TestCommandsInAFreshClone:
    """The commands as a new user gives them."""

    def test_run_serves_and_leaves_the_clone_clean(self, clone: Path) -> None:
        """`./run.sh` answers from the committed index; git sees no change."""
        with run_server(command=["./run.sh"], cwd=clone) as server:
            assert server.ask("Whom do I ask?")["sources"]
        status = subprocess.run(["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True, check=True)
        assert status.stdout == ""

    def test_build_indexes_own_documents_and_they_can_be_committed(self, clone: Path) -> None:
        """The documents there go, three files come, `./run.sh build`, `git add data`: the index is theirs."""
        shutil.rmtree(documents := clone / "data" / "documents")
        documents.mkdir()
        for name in ("bees", "goats", "tractor"):
            (documents / f"{name}.md").write_text(f"# {name.title()}\n\nAll about {name}.\n")
        subprocess.run(["./run.sh", "build"], cwd=clone, check=True, capture_output=True)
        subprocess.run(["git", "add", "data"], cwd=clone, check=True)
        staged = subprocess.run(
            ["git", "diff", "--cached", "--name-only"], cwd=clone, capture_output=True, text=True, check=True
        ).stdout.split()
        assert {"data/documents/bees.md", "data/index/manifest.json", "data/index/lexical.sqlite3"} <= set(staged)

    def test_example_of_settings_can_be_copied(self, clone: Path) -> None:
        """`.env` is read by run.sh and ignored by git; what is set already wins."""
        subprocess.run(["cp", ".env.example", ".env"], cwd=clone, check=True)
        (clone / ".env").write_text("PORT=0\n")
        done = subprocess.run(["./run.sh"], cwd=clone, capture_output=True, text=True, timeout=120)
        assert "PORT='0' cannot be used" in done.stderr
        (clone / ".env").unlink()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link is a file of the repository."""
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target
