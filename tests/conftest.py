"""Fixtures that several folders share: the repository's root, and the real server over HTTP."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

ROOT = Path(__file__).parent.parent
START_LIMIT_S = 60


@dataclass
class Server:
    """A real gunicorn process that serves the repository."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=60, **options)

    def post(self, path: str, body: Any, **options: Any) -> requests.Response:
        return requests.post(self.url + path, json=body, timeout=60, **options)

    def ask(self, message: str, **body: Any) -> dict[str, Any]:
        response = self.post("/chat", {"message": message, **body})
        assert response.status_code == 200, response.text
        answer = response.json()
        assert isinstance(answer, dict)
        return answer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], object], limit_s: float = 30, what: str = "the condition") -> None:
    """Poll until the condition holds; the only place where a test waits."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true within {limit_s} s"
        time.sleep(0.02)


@contextmanager
def serve(log: Path, cwd: Path = ROOT, arguments: tuple[str, ...] = (), **environment: str) -> Iterator[Server]:
    """Run gunicorn as the Blueprint does, on a free port; stop it at the end."""
    port = free_port()
    clean = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *arguments, "app:app"],
            cwd=cwd,
            env={**clean, "PORT": str(port), "RATE_LIMIT": "off", **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        server = Server(f"http://127.0.0.1:{port}", process, log)

        def answers() -> bool:
            assert process.poll() is None, f"gunicorn stopped:\n{log.read_text()}"
            try:
                return server.get("/health").ok
            except requests.ConnectionError:
                return False

        try:
            wait_until(answers, START_LIMIT_S, "/health")
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server as a new user starts it: the committed index, no key."""
    with serve(tmp_path_factory.mktemp("server") / "log", MAX_REQUESTS="0", ADMIN_TOKEN="admin") as running:
        yield running
