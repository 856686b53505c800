"""The socket to a client: reading from it never waits, and writing to it waits only within bounds."""

import errno
import select
import socket
import time
from contextlib import suppress
from threading import Lock
from typing import Any

# The seconds that one connection may spend in all waiting for its client to read.
PATIENCE_S = 30.0
# As many threads may wait for clients that do not read; one more, and the one that waits longest is cut off.
MOST_STALLED = 4


class Stalls:
    """The sockets whose clients do not read, those that wait longest first."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._sockets: dict[ClientSocket, None] = {}

    def wait(self, sock: "ClientSocket") -> None:
        """Wait until the client reads.

        Raises:
            BrokenPipeError: its patience is over.
        """
        with self._lock:
            self._sockets[sock] = None
            if len(self._sockets) > MOST_STALLED:
                longest = next(iter(self._sockets))
                with suppress(OSError):
                    longest.shutdown(socket.SHUT_RDWR)
        started = time.monotonic()
        try:
            poll = select.poll()
            poll.register(sock, select.POLLOUT)
            if not poll.poll(max(0.0, sock.patience_s) * 1000):
                raise BrokenPipeError(errno.EPIPE, "The client does not read.")
        finally:
            sock.patience_s -= time.monotonic() - started
            with self._lock:
                self._sockets.pop(sock, None)


class ClientSocket(socket.socket):
    """An accepted socket as gunicorn uses it; it never blocks, whatever gunicorn sets.

    Args:
        accepted: its descriptor is taken over.
    """

    def __init__(self, accepted: socket.socket, stalls: Stalls) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, accepted.detach())
        super().setblocking(False)
        self._stalls = stalls
        self.patience_s = PATIENCE_S

    def setblocking(self, flag: bool, /) -> None:
        """Do nothing."""

    def settimeout(self, value: float | None, /) -> None:
        """Do nothing."""

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Read what is there; called by gunicorn's parser, which has the whole request already.

        Raises:
            ConnectionResetError: nothing is there. So a request that is not whole ends its connection.
        """
        try:
            return super().recv(bufsize, flags)
        except BlockingIOError as exc:
            raise ConnectionResetError(errno.ECONNRESET, "The request is not whole.") from exc

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Write everything, waiting for the client where it reads slowly."""
        left = memoryview(data)
        while left:
            try:
                left = left[self.send(left, flags) :]
            except BlockingIOError:
                self._stalls.wait(self)
