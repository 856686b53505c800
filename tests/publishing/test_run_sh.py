"""`./run.sh` starts from a published index."""

import subprocess
from pathlib import Path

import pytest

from benchmarks.running_server import run_server
from tests.conftest import ROOT
from tests.publishing.published import Published

pytestmark = pytest.mark.skipif(not (ROOT / ".venv").exists(), reason="run.sh's own .venv is not there")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A fresh clone whose index is not in git."""
    folder = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    subprocess.run(["git", "rm", "-r", "--quiet", "data/index"], cwd=folder, check=True)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


def test_run_sh_fetches_before_it_serves(clone: Path, published: Published) -> None:
    """The two lines that `publish` printed stand in `.env`; without them nothing starts that could not answer."""
    lines = "".join(f"{name}={value}\n" for name, value in published.lines.items())
    (clone / ".env").write_text(lines.replace("INDEX_SHA256=", "INDEX_SHA256=0")[:-2] + "\n")
    done = subprocess.run(["./run.sh"], cwd=clone, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "is not what was published" in done.stderr
    (clone / ".env").write_text(lines)
    with run_server(command=["./run.sh"], cwd=clone) as server:
        assert server.ask("How many days of annual leave do employees get?")["citations"]
