"""A build on a real Ray cluster gives the local build's index, whatever dies on the way."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

import psutil
import pytest

from src.artifacts import Manifest
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

    def find_busy_parsers(self) -> list[psutil.Process]:
        """Find the workers' parser processes that have come to the slow file: 600 short ones take 0.5 s."""
        children = [child for worker in self.find_workers() for child in worker.children()]
        return [child for child in children if child.cpu_times().user > 1.5]


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


def require_same_as_local(
    config: Config, process: "subprocess.Popen[str]", crashed: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Texts, word index, sentence embeddings and the hash of the vectors; return what the build on Ray said.

    Args:
        crashed: files that the local build shall not see, and why the one on Ray left them out.
    """
    said = require_success(process)
    texts, on_ray = (config.index_dir / "lexical.sqlite3").read_bytes(), Manifest.load(config.index_dir)
    shutil.rmtree(config.index_dir)
    for path in crashed:
        (config.documents_dir / path).unlink()
    build_index(config)
    local = Manifest.load(config.index_dir)
    assert texts == (config.index_dir / "lexical.sqlite3").read_bytes()
    assert on_ray == replace(local, spec=replace(local.spec, skipped={**local.spec.skipped, **crashed}))
    return said


def kill_first(find: Callable[[], list[psutil.Process]]) -> None:
    """Wait until there is one, and kill it as the kernel does when memory runs out."""
    found: list[psutil.Process] = []
    wait_until(lambda: found.extend(find()) or found, "a process at work", LIMIT_S)
    found[0].send_signal(signal.SIGKILL)


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


def test_killed_parser_costs_its_file_a_killed_worker_its_blocks_and_a_killed_build_goes_on(
    config: Config, cluster: Cluster, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    """The parser's file is skipped, as in a local build; Ray gives the blocks to another worker; what the killed build
    had embedded is not embedded again."""
    for number in range(600):
        (config.documents_dir / f"{number:03}.md").write_text(f"Room {number} is on floor {number % 7}.\n")
    process = start("--ray-address", cluster.address)
    wait_until(lambda: count_kept(config), "the first embeddings", LIMIT_S)
    process.kill()
    process.communicate()
    kept = count_kept(config)
    assert 0 < kept < 1200

    (config.documents_dir / "slow.md").write_text(SLOW)
    process = start("--ray-address", cluster.address)
    kill_first(cluster.find_busy_parsers)
    wait_until(lambda: count_kept(config) > kept, "the next embeddings", LIMIT_S)
    kill_first(cluster.find_workers)
    reason = "parsing it crashes its parser (SIGKILL); it is damaged, or too large"
    said = require_same_as_local(config, process, {"slow.md": reason})
    assert f"{1200 - kept:,} texts" in said
    assert f"Skipped slow.md: {reason}" in said
    assert "600 read, 1 skipped" in said


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
