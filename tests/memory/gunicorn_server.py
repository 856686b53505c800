"""A gunicorn with the project's own gunicorn.conf.py and a toy app or the real one, and clients that load it."""

import http.client
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from benchmarks.running_server import GUNICORN, Server, run_server, wait_until
from tests.conftest import corpus_places

__all__ = ["GunicornServer", "Load", "kill", "wait_until"]

QUESTION = json.dumps({"message": "How many days of annual leave are there?"})
TOY = "tests.memory.toy_app:app"


@dataclass
class GunicornServer:
    """A running server; `state` is the folder in which files steer the toy app."""

    server: Server
    state: Path

    @classmethod
    @contextmanager
    def run(cls, folder: Path, *arguments: str, app: str = TOY, **environment: str) -> Iterator[Self]:
        """Start gunicorn, wait until it answers, stop it at the end."""
        places = {"TOY_DIR": str(folder)} if app == TOY else corpus_places()
        command = (*GUNICORN, *arguments, app)
        with run_server({**places, **environment}, log=folder / "gunicorn.log", command=command) as server:
            yield cls(server, folder)

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        return self.server.process

    @property
    def port(self) -> int:
        return int(self.server.url.rpartition(":")[2])

    @property
    def log(self) -> str:
        return self.server.log.read_text()

    @property
    def workers(self) -> list[int]:
        """The pids of the workers alive now."""
        return self.server.workers()

    @property
    def handovers(self) -> int:
        return self.log.count("successor ready")

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


def kill(pid: int) -> None:
    """Kill as the kernel does when memory runs out."""
    os.kill(pid, signal.SIGKILL)
