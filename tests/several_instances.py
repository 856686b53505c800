"""What stands around several instances: the proxies that docs/proxies shows, and Redis."""

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT, free_port, serve, wait_until

STORE = "tests/web/impatient_store.conf.py"
PROXIES = {
    "nginx": ("docs/proxies/nginx.conf", ("nginx", "-e", "stderr", "-g", "pid nginx.pid;", "-p", ".", "-c")),
    "haproxy": ("docs/proxies/haproxy.cfg", ("haproxy", "-f")),
}


def is_open(port: int) -> bool:
    """Tell whether somebody listens."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@dataclass
class Program:
    """A server program that is not ours."""

    command: Sequence[str]
    folder: Path
    port: int

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def _log(self) -> Path:
        return self.folder / f"{self.command[0]}.log"

    def start(self) -> None:
        """Start it and wait until it listens."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self.command, cwd=self.folder, stdout=log, stderr=log)
        wait_until(lambda: is_open(self.port) or self.process.poll() is not None, f"{self.command[0]} listens")
        assert self.process.poll() is None, self.log

    @contextmanager
    def running(self) -> Iterator["Program"]:
        """Run it until the block ends; skip where it is missing."""
        if shutil.which(self.command[0]) is None:
            pytest.skip(f"{self.command[0]} is not installed")
        self.start()
        try:
            yield self
        finally:
            self.process.terminate()
            self.process.wait(30)


def run_redis(folder: Path) -> AbstractContextManager[Program]:
    """Run a Redis that keeps nothing on disk."""
    port = free_port()
    return Program(("redis-server", "--port", str(port), "--save", "", "--bind", "127.0.0.1"), folder, port).running()


def run_proxy(name: str, folder: Path, instances: "Sequence[Instance]") -> AbstractContextManager[Program]:
    """Run the proxy of docs/proxies before two instances."""
    config, command = PROXIES[name]
    text, port = (ROOT / config).read_text(), free_port()
    for shown, used in (("8000", port), ("8001", instances[0].port), ("8002", instances[1].port)):
        text = re.sub(rf"127\.0\.0\.1:{shown}\b", f"127.0.0.1:{used}", text)
    path = folder / Path(config).name
    path.write_text(text)
    return Program((*command, str(path)), folder, port).running()


@dataclass
class Instance:
    """The real server at a port of its own, which it keeps when it is restarted."""

    log: Path
    environment: dict[str, str]
    port: int

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._running = ExitStack()
        running = serve(self.log, arguments=("--config", STORE), PORT=str(self.port), **self.environment)
        self.server = self._running.enter_context(running)

    def stop(self) -> None:
        """Stop it as an operator does."""
        self._running.close()
        assert self.server.process.returncode == 0

    def restart(self) -> None:
        self.stop()
        self.start()

    @property
    def workers(self) -> list[int]:
        return self.server.workers()

    def answered(self) -> int:
        """Count the searches that it has answered."""
        return self.log.read_text().count("GET /search 200")
