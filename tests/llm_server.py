"""A real HTTP server that stands for an OpenAI-compatible API and does what a test's script says."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from tests.http_server import DEADLOCK_S, QuietHandler, QuietServer, serving

JSON = {"Content-Type": "application/json"}
SSE = {"Content-Type": "text/event-stream"}


@dataclass
class Reply:
    """One scripted reply.

    Args:
        body: bytes are written at once, an `Event` is waited for, `HANG_UP` waits until the client goes away.
        chunked: False: the body ends with the connection, as HTTP/1.0 servers do.
        headers_after: waited for before anything is sent.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: dict(JSON))
    body: Iterable[bytes | Event | object] = ()
    chunked: bool = True
    breaks_off: bool = False
    headers_after: Event | None = None


HANG_UP = object()


@dataclass(frozen=True)
class Request:
    """What the server was asked."""

    path: str
    authorization: str
    body: dict[str, Any]


def event(piece: str, finish: str | None = None) -> bytes:
    """Write one piece of a streamed answer."""
    choice = {"index": 0, "delta": {"content": piece}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def streamed(*pieces: str) -> Reply:
    """Stream an answer and end it as it should be."""
    return Reply(headers=SSE, body=(*map(event, pieces), event("", "stop"), b"data: [DONE]\n\n"))


def failed(status: int, **headers: str) -> Reply:
    """Fail with a status; header names are written with `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, {**JSON, **named}, [b'{"error": {"message": "no"}}'])


class LLMServer(QuietServer):
    """Gives the replies of `script` one after the other, the last one again and again."""

    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.script: list[Reply] = []
        self.requests: list[Request] = []
        self.hung_up = Event()

    @property
    def url(self) -> str:
        """The base URL, as `LLM_BASE_URL` takes it."""
        return f"http://127.0.0.1:{self.server_port}/v1"

    def next_reply(self) -> Reply:
        """Return what comes next."""
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


class _Handler(QuietHandler):
    protocol_version = "HTTP/1.1"
    server: LLMServer

    def do_POST(self) -> None:  # noqa: N802
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(Request(self.path, self.headers.get("Authorization", ""), body))
        reply = self.server.next_reply()
        if reply.headers_after:
            reply.headers_after.wait(DEADLOCK_S)
        try:
            self._send(reply)
        except OSError:
            self.server.hung_up.set()
            self.close_connection = True

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header(*(("Transfer-Encoding", "chunked") if reply.chunked else ("Connection", "close")))
        self.end_headers()
        for step in reply.body:
            self._do(step, reply.chunked)
        if reply.chunked and not reply.breaks_off:
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = self.close_connection or not reply.chunked or reply.breaks_off

    def _do(self, step: bytes | Event | object, chunked: bool) -> None:
        if isinstance(step, Event):
            step.wait(DEADLOCK_S)
        elif isinstance(step, bytes):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(step), step) if chunked else step)
            self.wfile.flush()
        elif not self.rfile.read(1):
            self.server.hung_up.set()
            self.close_connection = True


@contextmanager
def serve_llm(*script: Reply) -> Iterator[LLMServer]:
    """Serve a script on a free port."""
    server = LLMServer()
    server.script = list(script)
    with serving(server):
        yield server
