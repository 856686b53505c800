"""Cuts a document's text into the pieces that its page shows: where passages begin, and what is marked."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from src.records import Chunk

# Of one document, shown or sent at once: a page of 200,000 takes some MB while it is made.
PAGE_CHARS = 200_000
_NUMBER = re.compile(r"[0-9]{1,9}")
_HEADING = re.compile(r"^(#{1,6} .*)$", re.MULTILINE)

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text that is marked or not.

    Args:
        passage: number of the passage that begins with it, counting from 1; None inside a passage.
        chunk: that passage.
        runs: the text, cut at heading lines: (text, is a heading).
    """

    runs: tuple[tuple[str, bool], ...]
    is_marked: bool
    passage: int | None = None
    chunk: Chunk | None = None


def parse_mark(
    arguments: Mapping[str, str], characters: int, get_passage: Callable[[int], Chunk | None]
) -> Span | None:
    """Read what is to be marked: `start` and `end`, or `passage` counting from 0 as in a chunk's id.

    An address that makes no sense marks nothing; it is not an error.
    """
    numbers = {
        name: int(value) for name in ("start", "end", "passage") if _NUMBER.fullmatch(value := arguments.get(name, ""))
    }
    chunk = get_passage(numbers["passage"]) if "passage" in numbers else None
    if chunk:
        return chunk.start, chunk.end
    start, end = numbers.get("start", 0), min(numbers.get("end", 0), characters)
    return (start, end) if start < end else None


def cut_into_pieces(
    text: str, passages: Sequence[Chunk], mark: Span | None, *, offset: int = 0, first_number: int = 1
) -> list[Piece]:
    """Cut the text at the beginning of each passage and around the mark; the pieces joined are the text.

    Args:
        passages: those that reach into the text; `first_number` is that of the first one.
        offset: where in its document the text begins.
    """
    begins = {
        chunk.start - offset: (number, chunk)
        for number, chunk in enumerate(passages, start=first_number)
        if chunk.start >= offset
    }
    first, last = (min(max(0, place - offset), len(text)) for place in mark or (0, 0))
    cuts = sorted({0, len(text), first, last, *begins})
    pieces = []
    for start, end in pairwise(cuts):
        number, chunk = begins.get(start, (None, None))
        pieces.append(Piece(_runs(text[start:end]), first <= start < last, number, chunk))
    return pieces


def excerpt(text: str, limit_chars: int = 320) -> str:
    """Give the beginning of a passage for a list: without its heading lines, in one paragraph."""
    words = " ".join(_HEADING.sub("", text).split())
    return words if len(words) <= limit_chars else words[:limit_chars].rsplit(" ", 1)[0] + " …"


def _runs(text: str) -> tuple[tuple[str, bool], ...]:
    parts = _HEADING.split(text)
    return tuple((part, place % 2 == 1) for place, part in enumerate(parts) if part)
