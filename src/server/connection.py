"""A client's connection between its requests, and what it is told when a request does not reach the app."""

import json
import time
import uuid
from contextlib import suppress
from http import HTTPStatus
from socket import SHUT_WR
from typing import Any

from gunicorn import util
from gunicorn.workers.gthread import TConn

from src.server.client_socket import ClientSocket
from src.server.request_framing import RequestFraming

# From a request's first byte to the end of its head, and to its last byte.
HEAD_S = 10.0
WHOLE_S = 30.0
# Between two pieces of a request.
PIECE_S = 10.0


class Connection(TConn):  # type: ignore[misc]
    """A connection and what has come of its next request."""

    def __init__(self, cfg: Any, sock: ClientSocket, client: Any, server: Any) -> None:
        super().__init__(cfg, sock, client, server)
        self.data_ready = True
        self.is_known = False
        self.is_closing = False
        self.expect_request(b"")

    def expect_request(self, received: bytes) -> None:
        """Begin with the next request, of which some bytes may have come with the one before."""
        self.received, self.framing = bytearray(received), RequestFraming()
        self.began_at: float | None = None
        self.deadline = time.monotonic() + self.cfg.keepalive

    def init(self) -> None:
        """Give gunicorn's parser what has come."""
        super().init()
        self.parser.unreader.unread(bytes(self.received))
        self.received = bytearray()

    def note_piece(self, latest: float) -> None:
        """Set the time by which more must have come; `latest` if that is earlier."""
        now = time.monotonic()
        self.began_at = self.began_at or now
        limit_s = WHOLE_S if self.framing.has_head else HEAD_S
        self.deadline = min(self.began_at + limit_s, now + PIECE_S, latest)

    def invite_body(self) -> None:
        """Say "100 Continue" when the head has come and asks for that."""
        if self.framing.has_head and self.framing.take_expectation(self.received):
            with suppress(OSError):
                self.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def stop_writing(self, until: float) -> bool:
        """Let the client read to the end before the connection is gone, which a reset would not; False: it has gone."""
        self.is_closing, self.received, self.deadline = True, bytearray(), until
        try:
            self.sock.shutdown(SHUT_WR)
        except OSError:
            return False
        return True


def error_bytes(status: int, code: str, message: str) -> bytes:
    """Write an error response as `web/error_handlers.py` shapes it, for requests that do not reach the app."""
    request_id = uuid.uuid4().hex
    body = json.dumps({"error": {"code": code, "message": message, "request_id": request_id}}) + "\n"
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nConnection: close\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\nX-Request-ID: {request_id}\r\n\r\n{body}".encode()


def _write_error(sock: ClientSocket, status: int, reason: str, message: str) -> None:
    code = "internal_error" if status >= 500 else "invalid_request"
    sock.sendall(error_bytes(status, code, message or f"{reason}."))


# gunicorn answers what its parser refuses with HTML, and has no setting for that.
util.write_error = _write_error
