"""The one harness of tests, benchmarks and evaluations: builds an index, runs the real server, asks it, measures it."""

import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests

from benchmarks.cgroup_box import Box
from benchmarks.process_memory import TreeMemory, read_tree

ROOT = Path(__file__).parent.parent
GUNICORN = (sys.executable, "-m", "gunicorn")
SERVE = (*GUNICORN, "app:app")
START_LIMIT_S = 180.0
STOP_LIMIT_S = 30.0
ANSWER_LIMIT_S = 120.0
POLL_S = 0.02


@dataclass(slots=True)
class Server:
    """A gunicorn master with its workers.

    Args:
        log: the file that holds what the server printed.
        ready_s: seconds from spawn to the first answer of `/health`.
    """

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path
    ready_s: float = 0.0

    def get(self, path: str, **options: Any) -> requests.Response:
        """Get a path, whatever the status."""
        return requests.get(self.url + path, timeout=ANSWER_LIMIT_S, **options)

    def post(self, path: str, body: Any, **options: Any) -> requests.Response:
        """Post JSON to a path, whatever the status."""
        return requests.post(self.url + path, json=body, timeout=ANSWER_LIMIT_S, **options)

    def ask(self, message: str, **body: Any) -> dict[str, Any]:
        """Ask `/chat` one question; anything but 200 is an error that says what came instead."""
        response = self.post("/chat", {"message": message, **body})
        if response.status_code != 200:
            raise requests.HTTPError(f"{response.status_code}: {response.text}", response=response)
        answer: dict[str, Any] = response.json()
        return answer

    def processes(self) -> list[psutil.Process]:
        """List master and workers; a process that ends meanwhile is left out."""
        try:
            master = psutil.Process(self.process.pid)
            return [master, *master.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def workers(self) -> list[int]:
        """List the pids of the workers."""
        return [process.pid for process in self.processes()[1:]]

    def memory(self) -> TreeMemory:
        """Read what all processes hold together."""
        return read_tree(process.pid for process in self.processes())

    def cpu_s(self) -> float:
        """Sum user and system CPU seconds over all processes, finished children included."""
        total = 0.0
        for process in self.processes():
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
            if process.pid == self.process.pid:
                total += times.children_user + times.children_system
        return total

    def is_healthy(self) -> bool:
        """Tell whether `/health` answers; a server that has stopped is an error with its log."""
        if self.process.poll() is not None:
            log = self.log.read_text(errors="replace")
            raise RuntimeError(f"The server stopped with status {self.process.returncode}:\n{log}")
        try:
            return requests.get(self.url + "/health", timeout=10).ok
        except (requests.ConnectionError, requests.Timeout):
            return False


def build(environment: Mapping[str, str]) -> None:
    """Run the real build with these settings."""
    command = [sys.executable, "build_embeddings.py"]
    subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def run_server(
    environment: Mapping[str, str] | None = None,
    *,
    log: Path | None = None,
    box: Box | None = None,
    command: Sequence[str] = SERVE,
    cwd: Path = ROOT,
) -> Iterator[Server]:
    """Start the server without a rate limit, yield it when `/health` answers, stop it at the end.

    Args:
        environment: added to this process's own; without `PORT` it is a free port.
        log: where the server's output goes; None: a scratch file.
        box: a cgroup to start it in; None: unconfined.
    """
    given = {**os.environ, "PORT": str(free_port()), "RATE_LIMIT": "off", **(environment or {})}
    with tempfile.TemporaryDirectory() as scratch:
        log = log or Path(scratch) / "log"
        start = time.perf_counter()
        with log.open("ab") as output:
            popen = box.start if box else subprocess.Popen
            process = popen(command, cwd=cwd, env=given, stdout=output, stderr=output)
        server = Server(f"http://127.0.0.1:{given['PORT']}", process, log)
        try:
            wait_until(server.is_healthy, "/health answers", START_LIMIT_S)
            server.ready_s = time.perf_counter() - start
            yield server
        finally:
            _stop(process)


def free_port() -> int:
    """Return a port that nothing listens on, below those that the system gives to clients, which come and go."""
    while True:
        port = random.randrange(20_000, 32_768)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_until(condition: Callable[[], object], what: str, limit_s: float = 30) -> None:
    """Look every 20 ms until the condition holds.

    Raises:
        TimeoutError: it does not hold within the limit; the message says `what`.
    """
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Not within {limit_s:.0f} s: {what}")
        time.sleep(POLL_S)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
