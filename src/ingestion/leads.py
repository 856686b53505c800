"""What a chunk continues that begins in the middle of a table or a list, or with code: it says little by itself."""

from collections.abc import Iterator
from dataclasses import dataclass

from src.ingestion.outline import Outline
from src.ingestion.sentences import Span, find_last_sentence

_INTRODUCED = frozenset({"bullet_list_open", "ordered_list_open", "fence"})


@dataclass(frozen=True, slots=True)
class Lead:
    """Words without which what begins from `start` to `end` of the text is not understood."""

    start: int
    end: int
    text: str


def find_leads(outline: Outline) -> Iterator[Lead]:
    """Find the head of each table, and the sentence before each list and before code; inner ones come last."""
    table = 0  # where the last one begins among the tokens
    before: Span | None = None  # the paragraph that ends where the block begins
    for number, token in enumerate(outline.tokens):
        start, end = outline.span(token)
        if token.type == "table_open":
            table = number
        elif token.type == "tbody_open":
            cells = [cell.content for cell in outline.tokens[table:number] if cell.content]
            yield Lead(start, end, " | ".join(cells))
        elif token.type in _INTRODUCED and before:
            sentence = find_last_sentence(outline.text, *before)
            if sentence.endswith((":", "：")) or token.type == "fence":
                yield Lead(start, end, sentence)
        if token.type == "paragraph_open":
            before = start, end
        elif token.nesting == 1 or token.type in ("fence", "heading_close"):
            before = None
