"""The connections that wait for their clients; each costs a descriptor and some kB, and no thread."""

import selectors
from collections.abc import Callable
from functools import partial
from typing import Any

from src.server.connection import Connection
from src.server.relay import Relay


class WaitingRoom:
    """What waits, in the order in which it began to.

    Args:
        on_readable: called in the loop with a connection of which something has come.
    """

    def __init__(self, poller: selectors.BaseSelector, on_readable: Callable[[Connection, Any], None]) -> None:
        self._poller, self._on_readable = poller, on_readable
        self._waiting: dict[Connection, None] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, connection: Connection) -> None:
        """Wait for this client."""
        try:
            self._poller.register(connection.sock, selectors.EVENT_READ, partial(self._on_readable, connection))
        except (OSError, ValueError):  # its thread has closed it
            connection.close()
        else:
            self._waiting[connection] = None

    def remove(self, connection: Connection) -> None:
        """Wait for it no more."""
        if connection in self._waiting:
            del self._waiting[connection]
            self._poller.unregister(connection.sock)

    def drop(self, connection: Connection) -> None:
        """Close it."""
        self.remove(connection)
        connection.close()

    def make_room(self) -> bool:
        """Drop the oldest: of those that were never answered, if there are any. False: there is none at all."""
        victim = min(self._waiting, key=lambda one: one.is_known, default=None)
        if victim is not None:
            self.drop(victim)
        return victim is not None

    def largest_above(self, most_bytes: int) -> Connection | None:
        """Return the one of which most has come, if all together hold more than this."""
        if sum(len(one.received) for one in self._waiting) <= most_bytes:
            return None
        return max(self._waiting, key=lambda one: len(one.received))

    def overdue(self, now: float) -> list[Connection]:
        """List those whose time is over."""
        return [one for one in self._waiting if one.deadline < now]

    def end_by(self, latest: float) -> None:
        """Let none wait longer than this."""
        for connection in self._waiting:
            connection.deadline = min(connection.deadline, latest)

    def hand_on(self, relay: Relay) -> None:
        """Give those of which nothing has come to the worker that follows, as many as there is room for."""
        for connection in [one for one in self._waiting if not one.received and not one.is_closing]:
            if not relay.give(connection.sock):
                return
            self.drop(connection)
