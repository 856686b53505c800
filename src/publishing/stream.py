"""A file on its way here."""

from collections.abc import Iterator
from dataclasses import dataclass

BLOCK_BYTES = 2**16


@dataclass(frozen=True, slots=True)
class Stream:
    """A file as it comes.

    Args:
        start: where in the file the first block lies.
        total: bytes of the whole file; None: not known.
    """

    start: int
    total: int | None
    blocks: Iterator[bytes]
