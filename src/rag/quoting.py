"""What can be quoted of a passage so that it can be read alone: a sentence, a list with its lead-in, a table's row."""

import re
from dataclasses import dataclass

from src.rag.citations import remove_markers
from src.records import Chunk

MAX_WORDS = 80

_BULLET = re.compile(r"[ \t>]*(?:[-*+•]|\d{1,3}[.)])[ \t]+(?:\[[ xX]\][ \t]+)?\Z")
_TABLE_RULE = re.compile(r"\s*\|?[\s:|-]*-[\s:|-]*\|?\s*\Z")
_POINTS_BACK = re.compile(
    r"(?:this|these|those|that|it|its|they|their|he|his|she|her|such|however|therefore|thus|hence|also|but|and|then|"
    r"in addition|instead|otherwise|for example|for instance|as a result|the (?:former|latter|same)|both|there)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Quote:
    """Sentences `first` to `last`, one after the other, of the passage with the number `marker`."""

    marker: int
    chunk: Chunk
    first: int
    last: int

    @property
    def start(self) -> int:
        """Where it begins in the passage's text."""
        return self.chunk.sentences[self.first][0]

    @property
    def end(self) -> int:
        """Where it ends in the passage's text."""
        return self.chunk.sentences[self.last][1]


def can_stand_alone(chunk: Chunk, sentence: int) -> bool:
    """Tell whether a sentence says what it is about."""
    start, end = chunk.sentences[sentence]
    answers = sentence > 0 and chunk.text[: chunk.sentences[sentence - 1][1]].endswith("?")
    return not answers and not _POINTS_BACK.match(chunk.text, start, end)


def is_item(chunk: Chunk, sentence: int) -> bool:
    """Tell whether a sentence is an item of a list."""
    start = chunk.sentences[sentence][0]
    line = chunk.text.rfind("\n", 0, start) + 1
    return bool(_BULLET.match(chunk.text[line:start]))


def find_lead_in(chunk: Chunk, item: int) -> int | None:
    """Return the sentence ending with a colon that introduces an item's list; None where there is none."""
    first = item
    while first > 0 and is_item(chunk, first):
        first -= 1
    start, end = chunk.sentences[first]
    return first if first < item and chunk.text[start:end].endswith(":") else None


def find_items(chunk: Chunk, lead_in: int) -> list[int]:
    """Return the items that follow a sentence ending with a colon; none after any other sentence."""
    start, end = chunk.sentences[lead_in]
    items: list[int] = []
    if chunk.text[start:end].endswith(":"):
        for sentence in range(lead_in + 1, len(chunk.sentences)):
            if not is_item(chunk, sentence):
                break
            items.append(sentence)
    return items


def read_sentence(chunk: Chunk, sentence: int) -> str:
    """Return a sentence fit to be read alone: on one line, without references of its own, cut where it is very long.

    A table's row comes with its header.
    """
    start, end = chunk.sentences[sentence]
    text = chunk.text[start:end]
    if text.startswith("|"):
        text = _read_row(chunk.text, start, text)
    words = remove_markers(text).split()
    return " ".join(words if len(words) <= MAX_WORDS else [*words[: MAX_WORDS - 1], "…"])


def _read_row(text: str, start: int, row: str) -> str:
    header = _find_header(text[:start])
    cells = _cells(row)
    if len(header) != len(cells):
        return ", ".join(cell for cell in cells if cell)
    return "; ".join(f"{name}: {cell}" if name else cell for name, cell in zip(header, cells, strict=True) if cell)


def _find_header(before: str) -> list[str]:
    lines = before.rstrip("\n ").split("\n")
    while lines and lines[-1].lstrip().startswith("|"):
        if _TABLE_RULE.match(lines.pop()):
            return _cells(lines[-1]) if lines and lines[-1].lstrip().startswith("|") else []
    return []


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip().removeprefix("|").removesuffix("|"))]
