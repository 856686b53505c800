"""What stands around several instances: the proxies that docs/proxies shows, and Redis."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from benchmarks.running_server import GUNICORN, ROOT, Server, free_port, wait_until
from tests.conftest import corpus_places

PROXIES = {
    "nginx": ("docs/proxies/nginx.conf", ("nginx", "-e", "stderr", "-g", "pid nginx.pid;", "-p", ".", "-c")),
    "haproxy": ("docs/proxies/haproxy.cfg", ("haproxy", "-f")),
}


def require(program: str) -> None:
    """Skip where a program is missing."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def is_open(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextmanager
def run_program(command: Sequence[str], folder: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server program until the block ends; it listens on `port`."""
    with (folder / f"{Path(command[0]).name}.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        wait_until(lambda: is_open(port) or process.poll() is not None, f"{command[0]} listens")
        assert process.poll() is None, Path(log.name).read_text()
        yield process
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def run_proxy(name: str, folder: Path, instances: Sequence["Instance"]) -> Iterator[str]:
    """Run the proxy of docs/proxies before two instances; its address."""
    require(name)
    config, command = PROXIES[name]
    port = free_port()
    text = (ROOT / config).read_text()
    for shown, used in (("8000", port), ("8001", instances[0].port), ("8002", instances[1].port)):
        text = re.sub(rf"127\.0\.0\.1:{shown}\b", f"127.0.0.1:{used}", text)
    path = folder / Path(config).name
    path.write_text(text)
    with run_program((*command, str(path)), folder, port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def run_redis(folder: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a Redis that keeps nothing on disk."""
    require("redis-server")
    with run_program(("redis-server", "--port", str(port), "--save", "", "--bind", "127.0.0.1"), folder, port) as redis:
        yield redis


@dataclass
class Instance:
    """The real server at a port of its own, which it keeps when it is restarted."""

    log: Path
    environment: dict[str, str]
    port: int = field(default_factory=free_port)

    def start(self) -> None:
        environment = {**corpus_places(), "PORT": str(self.port), **self.environment}
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [*GUNICORN, "app:app"], cwd=ROOT, env={**os.environ, **environment}, stdout=log, stderr=log
            )
        self.server = Server(f"http://127.0.0.1:{self.port}", process, self.log)
        wait_until(self.server.is_healthy, "the instance answers", 60)

    def stop(self) -> None:
        self.server.process.terminate()
        assert self.server.process.wait(60) == 0

    def restart(self) -> None:
        self.stop()
        self.start()
