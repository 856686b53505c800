"""Whoever waits for an answer, as far as the work on it must know: whether they are still there."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol


class ReaderLeft(Exception):
    """Nobody waits for the answer any more; the work on it ends. No error: it is not logged, counted or retried."""


class Reader(Protocol):
    """The one who reads a streamed answer."""

    has_left: bool

    def on_leaving(self, end: Callable[[], object]) -> AbstractContextManager[None]:
        """Call `end`, from another thread, when they go away while the block runs."""
        ...
