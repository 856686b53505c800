"""What the tests' own HTTP servers share: a free port, a thread that runs them, and silence."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

DEADLOCK_S = 20.0  # no test waits so long unless it fails


class QuietHandler(BaseHTTPRequestHandler):
    """Logs no requests, which keeps the test's output clean."""

    def log_message(self, *_: object) -> None:
        pass


class QuietServer(ThreadingHTTPServer):
    """Listens on a free port; says nothing of a client that went away, for that is what some tests do."""

    def __init__(self, handler: type[QuietHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serving(server: QuietServer) -> Iterator[None]:
    """Run a server in a thread until the end."""
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
