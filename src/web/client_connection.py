"""Notices that a client hung up while its answer waits for the LLM and nothing is written that could fail."""

import select
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from flask import Request

LOOK_EVERY_MS = 500
# Linux alone tells that the other end has closed; elsewhere the next piece that cannot be written does.
_HUNG_UP: int = getattr(select, "POLLRDHUP", 0)


class ClientConnection:
    """The connection on which a request came; the `Reader` of its answer.

    Args:
        connection: None where the server does not show it: nobody is seen leaving then.
    """

    def __init__(self, connection: socket.socket | None) -> None:
        self._connection = connection
        self.has_left = False

    @classmethod
    def of(cls, request: Request) -> "ClientConnection":
        """Find the connection of a request that gunicorn serves."""
        return cls(request.environ.get("gunicorn.socket"))

    @contextmanager
    def on_leaving(self, end: Callable[[], object]) -> Iterator[None]:
        """Call `end`, from another thread, when the client hangs up while the block runs."""
        if self._connection is None or not _HUNG_UP:
            yield
            return
        # Registered here: by the time the thread runs, a short answer may be sent and the connection closed.
        poll = select.poll()
        poll.register(self._connection, _HUNG_UP)
        is_over = Event()
        Thread(target=self._watch, args=(poll, end, is_over), name="client", daemon=True).start()
        try:
            yield
        finally:
            is_over.set()

    def _watch(self, poll: select.poll, end: Callable[[], object], is_over: Event) -> None:
        while not is_over.is_set():
            if poll.poll(LOOK_EVERY_MS) and not is_over.is_set():
                self.has_left = True
                end()
                return
