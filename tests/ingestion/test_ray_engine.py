"""A build on a real Ray cluster gives the local build's index, whatever dies on the way."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from src.config import Config
from src.ingestion.index_builder import build_index
from tests.conftest import DOCUMENTS, ROOT, free_port, wait_until

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install -r requirements-ray.txt"),
]
LIMIT_S = 120
SLOW = "A sentence of some length, and more. " * 400_000
# No token in the home folder; and workers get their share of a busy machine.
RAY = {**os.environ, "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster of two workers, as `ray start` makes it."""

    address: str
    process: psutil.Process

    def find_workers(self) -> list[psutil.Process]:
        """Find the processes that are at work."""
        return [child for child in self.process.children(recursive=True) if is_at_work(child)]


def is_at_work(process: psutil.Process) -> bool:
    try:
        return (process.cmdline() or [""])[0].startswith("ray::Map")
    except psutil.Error:
        return False


def start_cluster(folder: str) -> Cluster:
    """Start a cluster.

    Raises:
        RuntimeError: it ends at once, with what it said; a port may have been taken meanwhile.
    """
    log, port = Path(folder, "log"), free_port()
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus=2"]
    command += [f"--port={port}", f"--temp-dir={folder}", "--include-dashboard=false"]
    command += [f"--ray-client-server-port={free_port()}", f"--dashboard-agent-listen-port={free_port()}"]
    with log.open("wb") as output:
        process = psutil.Popen(command, env=RAY, stdout=output, stderr=output)
    wait_until(lambda: "runtime started" in log.read_text() or process.poll() is not None, "the cluster", LIMIT_S)
    if process.poll() is not None:
        raise RuntimeError(f"Ray does not start:\n{log.read_text()}")
    return Cluster(f"127.0.0.1:{port}", process)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Start a cluster for several builds; again if it does not start."""
    folder = tempfile.mkdtemp(prefix="ray-")  # pytest's own folder is too long for the name of a socket
    try:
        try:
            started = start_cluster(folder)
        except RuntimeError:
            started = start_cluster(folder)
        yield started
        for child in [started.process, *started.process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):  # some end with the first
                child.kill()
        started.process.wait()
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start a build on Ray."""
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "build_embeddings.py", "--engine", "ray", *arguments]
        pipe = subprocess.PIPE
        running.append(
            subprocess.Popen(command, cwd=ROOT, env={**RAY, **environment}, text=True, stdout=pipe, stderr=pipe)
        )
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def require_success(process: "subprocess.Popen[str]") -> str:
    """Nothing to complain of, but that a machine has no network; return what the build said."""
    said, complaint = process.communicate()
    complaints = [line for line in complaint.splitlines() if "determine local IP via external" not in line]
    assert (process.returncode, complaints) == (0, [])
    return said


def require_same_as_local(config: Config, process: "subprocess.Popen[str]") -> str:
    """Texts, word index, sentence embeddings and the hash of the vectors; return what the build on Ray said."""
    said = require_success(process)
    on_ray = [(config.index_dir / name).read_bytes() for name in ("lexical.sqlite3", "manifest.json")]
    shutil.rmtree(config.index_dir)
    build_index(config)
    assert on_ray == [(config.index_dir / name).read_bytes() for name in ("lexical.sqlite3", "manifest.json")]
    return said


def count_kept(config: Config) -> int:
    for path in config.index_dir.parent.glob(".kept-embeddings-*.sqlite3"):
        with closing(sqlite3.connect(path)) as connection, suppress(sqlite3.OperationalError):  # still being made
            return int(connection.execute("SELECT count(*) FROM kept").fetchone()[0])
    return 0


def test_build_on_a_local_cluster_gives_the_same_index(
    config: Config, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    """Files without a parser, empty and broken ones are skipped for the same reasons."""
    shutil.copytree(DOCUMENTS, config.documents_dir, dirs_exist_ok=True)
    for name, data in {"picture.png": b"?", "empty.md": b"", "broken.docx": b"PK", "a/b/c.txt": b"Down here."}.items():
        path = config.documents_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    said = require_same_as_local(config, start())
    for name in ("picture.png: there is no parser", "empty.md: it is empty", "broken.docx: "):
        assert f"Skipped {name}" in said


def test_killed_worker_costs_its_blocks_and_a_killed_build_goes_on(
    config: Config, cluster: Cluster, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    """Ray gives the blocks to another worker; what the killed build had embedded is not embedded again."""
    for number in range(600):
        (config.documents_dir / f"{number:03}.md").write_text(f"Room {number} is on floor {number % 7}.\n")
    process = start("--ray-address", cluster.address)
    wait_until(lambda: count_kept(config), "the first embeddings", LIMIT_S)
    process.kill()
    process.communicate()
    kept = count_kept(config)
    assert 0 < kept < 1200

    process = start("--ray-address", cluster.address)
    wait_until(lambda: count_kept(config) > kept, "the next embeddings", LIMIT_S)
    found: list[psutil.Process] = []
    wait_until(lambda: found.extend(cluster.find_workers()) or found, "a worker at work", LIMIT_S)
    found[0].send_signal(signal.SIGKILL)
    said = require_same_as_local(config, process)
    assert f"{1200 - kept:,} texts" in said


def test_file_that_kills_its_parser_is_skipped(
    config: Config, cluster: Cluster, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    """As in a local build: the parser process dies, the worker and the other files do not."""
    (config.documents_dir / "slow.md").write_text(SLOW)
    (config.documents_dir / "good.md").write_text("# Leave\n\nEveryone has 25 days of leave.\n")
    process = start("--ray-address", cluster.address)

    def busy() -> list[psutil.Process]:
        children = [child for worker in cluster.find_workers() for child in worker.children()]
        return [child for child in children if child.cpu_times().user > 1.5]

    wait_until(busy, "a parser process at work", LIMIT_S)
    busy()[0].send_signal(signal.SIGKILL)
    said = require_success(process)
    assert "Skipped slow.md: parsing it crashes its parser (SIGKILL)" in said
    assert "1 read, 1 skipped" in said


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        (("--ray-address", "ray://127.0.0.1:10001"), "--ray-address host:6379"),
        (("--backend", "sentence-transformers"), "Leave --backend out"),
    ],
)
def test_what_ray_cannot_do_is_one_line_that_names_the_cure(
    start: Callable[..., "subprocess.Popen[str]"], arguments: tuple[str, ...], cure: str
) -> None:
    """Before a document is read."""
    process = start(*arguments)
    said, complaint = process.communicate()
    assert (process.returncode, said, complaint.count("\n")) == (1, "", 1)
    assert cure in complaint
