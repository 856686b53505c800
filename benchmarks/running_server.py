"""Runs the real server as a child process and reads what it costs: memory and CPU of the whole process tree."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from benchmarks.cgroup_box import Box
from benchmarks.process_memory import TreeMemory, read_tree

ROOT = Path(__file__).parent.parent
SERVE = (sys.executable, "-m", "gunicorn", "app:app")
START_LIMIT_S = 180.0


@dataclass(slots=True)
class RunningServer:
    """A gunicorn master with its workers.

    Args:
        ready_s: seconds from spawn to the first answer of `/health`.
    """

    url: str
    pid: int
    ready_s: float

    def processes(self) -> list[psutil.Process]:
        """List master and workers; a process that ends meanwhile is left out."""
        try:
            master = psutil.Process(self.pid)
            return [master, *master.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

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
            if process.pid == self.pid:
                total += times.children_user + times.children_system
        return total

    def chat(self, message: str, timeout_s: float = 120) -> float:
        """Ask one question and return its wall time in seconds; anything but 200 is an error."""
        start = time.perf_counter()
        response = requests.post(self.url + "/chat", json={"message": message}, timeout=timeout_s)
        response.raise_for_status()
        return time.perf_counter() - start


@contextmanager
def running_server(
    environment: Mapping[str, str] | None = None,
    *,
    box: Box | None = None,
    command: Sequence[str] = SERVE,
    cwd: Path = ROOT,
) -> Iterator[RunningServer]:
    """Start the server, yield it when `/health` answers, stop it at the end.

    Args:
        box: a cgroup to start it in; None: unconfined.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    given = {"PORT": str(port), "RATE_LIMIT": "off", **(environment or {})}
    start = time.perf_counter()
    popen = box.start if box else subprocess.Popen
    process = popen(
        command,
        cwd=cwd,
        env={**os.environ, **given},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for_health(url, process, start + START_LIMIT_S)
        yield RunningServer(url, process.pid, time.perf_counter() - start)
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for_health(url: str, process: "subprocess.Popen[bytes]", deadline: float) -> None:
    while True:
        if process.poll() is not None:
            raise RuntimeError(f"The server stopped with status {process.returncode} before it answered.")
        try:
            requests.get(url + "/health", timeout=10).raise_for_status()
        except (requests.ConnectionError, requests.Timeout):
            if time.perf_counter() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
