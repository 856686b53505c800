"""`run.sh` where something stood in its way before; the README's tests run its commands."""

import shutil
import subprocess
from pathlib import Path

from tests.conftest import ROOT

# Makes an environment as Debian does without python3-venv: it has no pip, and that is a failure.
PYTHON = """#!/bin/bash
[ "$1" = -m ] || exit 0
mkdir -p .venv/bin
printf '#!/bin/bash\\n' >.venv/bin/python
chmod +x .venv/bin/python
[ -e python3-venv ] && cp .venv/bin/python .venv/bin/pip
"""


def test_environment_that_was_left_half_made_is_made_again(tmp_path: Path) -> None:
    """The cure that the message names cures."""
    shutil.copy(ROOT / "run.sh", tmp_path)
    for name in ("requirements.txt", "requirements-build.txt", "constraints.txt"):
        (tmp_path / name).touch()
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    command = ["bash", "run.sh", "build"]
    environment = {"PYTHON": str(python), "PATH": "/usr/bin:/bin"}
    refused = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "apt install python3-venv" in refused.stderr
    (tmp_path / "python3-venv").touch()
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
