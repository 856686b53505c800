"""A clone of the last commit as a host has it after its build: what a free instance wakes from, with cold disks."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from benchmarks.running_server import ROOT


def read_build_command() -> str:
    """Return the build command of render.yaml."""
    service, *_ = yaml.safe_load((ROOT / "render.yaml").read_text(encoding="utf-8"))["services"]
    return str(service["buildCommand"])


@contextmanager
def fresh_clone() -> Iterator[Path]:
    """Clone the repository and run exactly the host's build command in it."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        build = ["bash", "-c", read_build_command()]
        subprocess.run(build, cwd=clone, env=environment, check=True, stdout=subprocess.DEVNULL)
        yield clone


def drop_pages(clone: Path) -> None:
    """Take the clone's files and the libraries' out of the page cache; what another process has mapped stays."""
    for path in (*clone.rglob("*"), *Path(yaml.__file__).parents[1].rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fdatasync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
