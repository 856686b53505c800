"""The blocks of a clean Markdown text: its headings, and where its lines begin. Text in a block is literal."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_MAX_NESTING = 40


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading: its span of whole lines in the text, level 1 to 6, and its words."""

    start: int
    end: int
    level: int
    title: str


@dataclass(frozen=True, slots=True)
class Outline:
    """A parsed Markdown text.

    Args:
        line_starts: where each line begins in the text, and the text's length at the end.
    """

    text: str
    tokens: Sequence["Token"]
    line_starts: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> "Outline":
        """Parse the blocks of a text whose lines end with `\\n`."""
        starts = [0, *(match.end() for match in re.finditer("\n", text))]
        if starts[-1] != len(text):
            starts.append(len(text))
        return cls(text, _block_parser().parse(text), tuple(starts))

    def span(self, token: "Token") -> tuple[int, int]:
        """Where a block's lines begin and end in the text."""
        first, after = token.map or (0, 0)
        return self.line_starts[first], self.line_starts[min(after, len(self.line_starts) - 1)]

    def headings(self) -> list[Heading]:
        """All headings that are not inside a list, a quotation or code."""
        found = []
        for token, inline in zip(self.tokens, self.tokens[1:], strict=False):
            if token.type == "heading_open" and token.level == 0:
                found.append(Heading(*self.span(token), int(token.tag[1]), inline.content.replace("`", "")))
        return found


@lru_cache
def _block_parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    # the only blocks of clean Markdown; what looks like another one is text
    parser = MarkdownIt("zero", {"maxNesting": _MAX_NESTING}).enable(["heading", "list", "table", "fence"])
    parser.core.ruler.disable(["inline"])
    return parser
