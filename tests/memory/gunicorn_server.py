"""A real gunicorn process with the project's own gunicorn.conf.py, and clients that load it."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

REPOSITORY = Path(__file__).parents[2]
QUESTION = json.dumps({"message": "How many days of annual leave are there?"})
TOY = "tests.memory.toy_app:app"


@dataclass
class GunicornServer:
    """A running server; `state` is the folder in which files steer the toy app."""

    process: subprocess.Popen[bytes]
    port: int
    state: Path
    log_path: Path

    @classmethod
    @contextmanager
    def run(cls, folder: Path, *arguments: str, app: str = TOY, **environment: str) -> Iterator[Self]:
        """Start gunicorn, wait until it answers, stop it at the end."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        env = {**os.environ, "PORT": str(port), "TOY_DIR": str(folder), **environment}
        command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", *arguments, app]
        log_path = folder / "gunicorn.log"
        with log_path.open("wb") as log:
            process = subprocess.Popen(command, cwd=REPOSITORY, env=env, stdout=log, stderr=log)
        server = cls(process, port, folder, log_path)
        try:
            wait_until(server.answers, "the server answers", 20)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    @property
    def workers(self) -> list[int]:
        """The pids of the workers alive now."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    @property
    def handovers(self) -> int:
        return self.log.count("successor ready")

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log
        try:
            self.get("/health")
        except OSError:
            return False
        return True

    def get(self, path: str) -> Any:
        return self.request("GET", path)

    def chat(self) -> Any:
        return self.request("POST", "/chat")

    def request(self, method: str, path: str) -> Any:
        """Ask once on a connection of its own; the answer's JSON."""
        with self.connect() as ask:
            return ask(method, path)

    @contextmanager
    def connect(self) -> Iterator[Callable[[str, str], Any]]:
        """Keep one connection, and with it one worker; what it yields asks and returns the answer's JSON."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:

            def ask(method: str, path: str) -> Any:
                body = QUESTION if method == "POST" else None
                connection.request(method, path, body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                answer = response.read()
                assert response.status == 200, (response.status, answer, self.log)
                return json.loads(answer)

            yield ask


@dataclass
class Load:
    """Clients that chat without pause, each on a kept-alive connection, and what they saw."""

    latencies_s: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    cold: int = 0
    pids: set[int] = field(default_factory=set)

    @property
    def p99_ms(self) -> float:
        return sorted(self.latencies_s)[int(len(self.latencies_s) * 0.99)] * 1000

    @property
    def p50_ms(self) -> float:
        return sorted(self.latencies_s)[len(self.latencies_s) // 2] * 1000

    @contextmanager
    def on(self, server: GunicornServer, clients: int = 8, think_s: float = 0.0) -> Iterator[Self]:
        """Let the clients chat until the block ends."""
        stop = threading.Event()
        threads = [threading.Thread(target=self._chat, args=(server, stop, think_s)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def _chat(self, server: GunicornServer, stop: threading.Event, think_s: float) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        while not stop.is_set():
            started = time.perf_counter()
            try:
                connection.request("POST", "/chat", QUESTION, {"Content-Type": "application/json"})
                response = connection.getresponse()
                body = json.loads(response.read())
                if response.status != 200:
                    raise OSError(response.status)
            except (OSError, ValueError, http.client.HTTPException) as exc:
                self.failures.append(repr(exc))
                connection.close()
                continue
            self.latencies_s.append(time.perf_counter() - started)
            self.cold += not body.get("was_warm", True)
            self.pids.add(body.get("pid", 0))
            stop.wait(think_s)
        connection.close()


def wait_until(condition: Callable[[], bool], what: str, limit_s: float = 30) -> None:
    """Wait for a condition, looking every 20 ms."""
    deadline = time.monotonic() + limit_s
    tick = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit_s:.0f} s: {what}"
        tick.wait(0.02)


def kill(pid: int) -> None:
    """Kill as the kernel does when memory runs out."""
    os.kill(pid, signal.SIGKILL)
