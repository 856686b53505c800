"""A real Chroma server for tests, and a real proxy that stands before it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from tests.conftest import free_port, wait_until
from tests.http_server import QuietHandler, QuietServer, serving


@dataclass
class Chroma:
    """`chroma run` over a folder."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [Path(sys.executable).with_name("chroma"), "run", "--path", self.folder, "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self.answers, "the Chroma server answers", 60)

    def answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/api/v2/heartbeat", timeout=5).ok
        except requests.ConnectionError:
            return False

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()


@contextmanager
def run_chroma(folder: Path) -> Iterator[Chroma]:
    """Run a server until the end."""
    chroma = Chroma(folder)
    try:
        chroma.start()
        yield chroma
    finally:
        chroma.kill()


@dataclass
class Proxy:
    """Passes requests on.

    Args:
        key: refuses requests without it, which `chroma run` cannot; "": lets all of them through.
        writes_left: answers later writes with 400; None: lets all of them through.
        body: answers everything with it; None: passes on.
        seen: method and path of the requests.
    """

    url: str
    key: str = ""
    writes_left: int | None = None
    body: bytes | None = None
    seen: list[str] = field(default_factory=list)


@contextmanager
def run_proxy(target: str) -> Iterator[Proxy]:
    """Run a proxy before a server until the end."""

    class Handler(QuietHandler):
        def handle_one(self) -> None:
            proxy.seen.append(f"{self.command} {self.path}")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, content = self.answer(body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = handle_one  # noqa: N815

        def answer(self, body: bytes) -> tuple[int, bytes]:
            if proxy.key and self.headers.get("X-Chroma-Token") != proxy.key:
                return 401, b'{"error": "AuthError"}'
            if proxy.writes_left is not None and self.path.endswith("/upsert"):
                if proxy.writes_left == 0:
                    return 400, b'{"error": "InvalidArgumentError", "message": "quota exceeded"}'
                proxy.writes_left -= 1
            if proxy.body is not None:
                return 200, proxy.body
            headers = {"Content-Type": "application/json"}
            passed = requests.request(self.command, target + self.path, data=body, headers=headers, timeout=30)
            return passed.status_code, passed.content

    server = QuietServer(Handler)
    proxy = Proxy(f"http://127.0.0.1:{server.server_port}")
    with serving(server):
        yield proxy
