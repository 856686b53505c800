"""A real limit of processes and threads, as hosts set it with the pids cgroup."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.running_server import GUNICORN, Server, run_server, wait_until
from tests.conftest import corpus_places

ROOT = Path("/sys/fs/cgroup")
QUESTION = "How many days of annual leave do employees get?"


class PidsGroup:
    """A pids cgroup, v2 or v1, that the server is started in."""

    def __init__(self) -> None:
        root = ROOT if (ROOT / "cgroup.controllers").exists() else ROOT / "pids"
        self.folder = root / f"rag512-pids-{os.getpid()}"
        self.folder.mkdir()

    def allow(self, more: int | None) -> None:
        """Allow so many processes and threads more than there are; None: any number."""
        now = int((self.folder / "pids.current").read_text())
        (self.folder / "pids.max").write_text("max" if more is None else str(now + more))


@pytest.fixture
def group() -> Iterator[PidsGroup]:
    try:
        group = PidsGroup()
    except OSError as exc:
        pytest.skip(f"no pids cgroup can be made here: {exc}")
    yield group
    wait_until(lambda: not (group.folder / "cgroup.procs").read_text(), "the group is empty")
    group.folder.rmdir()


@contextmanager
def serve_in(group: PidsGroup, log: Path) -> Iterator[Server]:
    joined = f'echo $$ > {group.folder}/cgroup.procs && exec "$0" "$@"'
    with run_server(corpus_places(), log=log, command=("bash", "-c", joined, *GUNICORN, "app:app")) as server:
        yield server


def test_load_without_threads_is_refused_and_the_worker_lives(tmp_path: Path, group: PidsGroup) -> None:
    """With room for two of them, onnxruntime and Chroma once waited for a third for ever, and with them /health.

    When there are threads again, the next load finds them.
    """
    with serve_in(group, tmp_path / "log") as server:
        worker = server.workers()
        group.allow(2)
        refused = server.post("/chat", {"message": QUESTION})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "no_threads")
        assert server.get("/health").ok
        group.allow(None)
        wait_until(lambda: server.post("/chat", {"message": QUESTION}).ok, "a chat is answered", 20)
        assert server.workers() == worker
