"""A real web server of files: with byte ranges or without, and with the faults that a test's script says."""

import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from tests.http_server import DEADLOCK_S, QuietHandler, QuietServer, serving


class FileServer(QuietServer):
    """Serves a folder.

    Attributes:
        faults: one is taken for each request of an archive: a status, or after how many bytes the connection breaks.
        asked: the path and the `Range` of each request.
        stalls_after: bytes after which a reply waits until the client has gone.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(_Handler)
        self.folder = folder
        self.scheme = "http"
        self.ranges = True
        self.tells_size = True
        self.faults: list[Callable[[_Handler, bytes], bytes | None]] = []
        self.asked: list[tuple[str, str | None]] = []
        self.stalls_after: int | None = None
        self.moved: dict[str, str] = {}
        self.closing = Event()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}"


def status(code: int) -> Callable[["_Handler", bytes], bytes | None]:
    """Answer with an error page."""

    def answer(handler: "_Handler", _body: bytes) -> None:
        handler.send_page(code)

    return answer


def broken_after(size: int) -> Callable[["_Handler", bytes], bytes | None]:
    """Promise all and send a part."""
    return lambda _handler, body: body[:size]


class _Handler(QuietHandler):
    protocol_version = "HTTP/1.1"
    server: FileServer

    def do_GET(self) -> None:  # noqa: N802
        path = self.path.partition("?")[0].lstrip("/")
        self.server.asked.append((path, self.headers.get("Range")))
        if path in self.server.moved:
            self.send_response(302)
            self.send_header("Location", self.server.moved[path])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        file = self.server.folder / path
        if not file.is_file():
            self.send_page(404)
            return
        self._send(file.read_bytes(), is_archive=not path.endswith(".sha256"))

    def _send(self, data: bytes, is_archive: bool) -> None:
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")) if self.server.ranges else None
        start = int(match[1]) if match else 0
        if start and start >= len(data):
            self.send_page(416)
            return
        body = data[start:]
        fault = self.server.faults.pop(0) if is_archive and self.server.faults else None
        sent = fault(self, body) if fault else body
        if sent is None:
            return
        self.send_response(206 if match else 200)
        if self.server.tells_size:
            self.send_header("Content-Length", str(len(body)))
        if match:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if is_archive and self.server.stalls_after is not None:
            self.wfile.write(sent[: self.server.stalls_after])
            self.server.closing.wait(DEADLOCK_S)
            sent = b""
        self.wfile.write(sent)
        self.close_connection = True

    def send_page(self, code: int) -> None:
        page = b"<html>Not what you want</html>"
        self.send_response(code)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)


@contextmanager
def serve_files(folder: Path, certificate: Path | None = None, key: Path | None = None) -> Iterator[FileServer]:
    """Serve a folder on a free port, with https where there is a certificate."""
    server = FileServer(folder)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.scheme = "https"
    with serving(server):
        try:
            yield server
        finally:
            server.closing.set()
