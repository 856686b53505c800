"""What several folders share: the tests' own corpus, its index, and the real server over it."""

import atexit
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

from benchmarks.running_server import GUNICORN, ROOT, Server, build, free_port, run_server, wait_until
from src.config import SETTINGS

__all__ = ["ROOT", "Server", "build", "corpus_places", "fill", "free_port", "of_the_sample", "serve", "wait_until"]

DOCUMENTS = ROOT / "tests" / "fixtures" / "documents"

# Tests run in three processes, on a machine that may be busy: a second of the clock says nothing about the code.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")

# Tests run as on a machine where nothing is set; a proxy would stand between them and their servers.
for name in (*SETTINGS, "GUNICORN_CMD_ARGS", "HTTP_PROXY", "http_proxy"):
    os.environ.pop(name, None)


# An app inside the tests shares their process, whose memory says nothing about a server's.
ROOMY = {"MEMORY_LIMIT_MB": "8192"}


# The process that starts the others makes the folder; they inherit its name.
SHARED_FOLDER = "RAG_TESTS_FOLDER"
if SHARED_FOLDER not in os.environ:
    os.environ[SHARED_FOLDER] = tempfile.mkdtemp(prefix="rag512-tests-")
    atexit.register(shutil.rmtree, os.environ[SHARED_FOLDER], ignore_errors=True)


@cache
def corpus_places() -> dict[str, str]:
    """Build the index of the tests' own documents, once for all processes; return the settings that name both."""
    folder = Path(os.environ[SHARED_FOLDER])
    places = {
        "DOCUMENTS_DIR": str(DOCUMENTS),
        "INDEX_DIR": str(folder / "index"),
        "MODEL_DIR": str(ROOT / "data" / "model"),
    }
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "index").exists():
            build(places)
    return places


def is_sample() -> bool:
    """Tell whether `data/documents` still holds every document that the sample's questions are about."""
    lines = (ROOT / "evals" / "handbook" / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    named = {path for line in lines for path in json.loads(line)["documents"]}
    return all((ROOT / "data" / "documents" / path).is_file() for path in named)


of_the_sample = pytest.mark.skipif(
    not is_sample(), reason="it is about the sample handbook, which is no longer what lies in data/documents"
)


@contextmanager
def serve(log: Path, cwd: Path = ROOT, arguments: tuple[str, ...] = (), **environment: str) -> Iterator[Server]:
    """Run gunicorn as the Blueprint does, over the tests' own corpus unless the environment names another."""
    command = (*GUNICORN, *arguments, "app:app")
    with run_server({**corpus_places(), **environment}, log=log, command=command, cwd=cwd) as running:
        yield running


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server as a new user starts it, without a key."""
    with serve(tmp_path_factory.mktemp("server") / "log", MAX_REQUESTS="0", ADMIN_TOKEN="admin") as running:
        yield running


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MB that is really full when it is full."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a tmpfs is not allowed here; root may do it on Linux")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def fill(disk: Path, room_bytes: int) -> None:
    """Leave no more than this room on a disk."""
    left = os.statvfs(disk)
    (disk / "filler").write_bytes(bytes(left.f_bavail * left.f_bsize - room_bytes))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the export's tests late: PyTorch stays in their process, where an app would find no memory.

    Ray's come last. A process that has no more tests takes them from the end of another's, so they go to the first that
    is idle, and the export's stay in few processes: each takes 8 s to import PyTorch.
    """
    items.sort(key=lambda item: [item.get_closest_marker(name) is not None for name in ("ray", "export")])
