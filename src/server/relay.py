"""Carries connections that wait from a worker that is replaced to its successor, so that their clients notice nothing.

A client that keeps a connection may send its next request at any moment. If the elder closed it, that request could be
lost; if the elder waited for it, two workers would hold memory for as long.
"""

import socket
from contextlib import suppress


class Relay:
    """A pair of sockets that all workers inherit from the master."""

    def __init__(self) -> None:
        self._take_end, self._give_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._take_end.setblocking(False)
        self._give_end.setblocking(False)

    def fileno(self) -> int:
        """Return what is readable when a connection can be taken."""
        return self._take_end.fileno()

    def give(self, connection: socket.socket) -> bool:
        """Pass a connection on; False: there is no room until another has been taken."""
        try:
            socket.send_fds(self._give_end, [b"c"], [connection.fileno()])
        except OSError:
            return False
        return True

    def take(self) -> socket.socket | None:
        """Take a connection, if there is one that another worker has not taken."""
        with suppress(BlockingIOError):
            _, descriptors, _, _ = socket.recv_fds(self._take_end, 1, 1)
            if descriptors:
                return socket.socket(fileno=descriptors[0])
        return None
