"""Tells code from text in Markdown that comes in pieces.

A marker in code is none, and an address in it is fetched by nobody. So only what every reader of Markdown takes for
code counts as code. From where one reader may see code and another may not, all is text: to the next blank line, or to
the end if it may be a block that one of them sees.
"""

import re
from itertools import groupby
from typing import NamedTuple

# A longer span of code inside a line is text.
MAX_INLINE_CHARS = 200

_BEGINS = re.compile(
    r"(?P<fence>(?<=\n)(?P<indent> {0,3})(?P<run>`{3,}+(?!.*`)|~{3,}+)[^|\n]*+(?!.))"
    rf"|(?<![`\\])(?P<ticks>`{{1,20}}+)(?!`).{{1,{MAX_INLINE_CHARS}}}?(?<!`)(?P=ticks)(?!`)"
    r"|(?P<block>`{3}|~{3}|<[A-Za-z/!?]|\$\$)|(?P<stray>\\?`)"
)
_BLOCK_OR_BLANK = re.compile(r"(?P<block>`{3}|~{3}|<[A-Za-z/!?]|\$\$)|(?P<blank>\n[ \t]*(?=\n))")
# What may become one of them.
_UNFINISHED = re.compile(r"(?:(?<=\n) {0,3}~{0,2}|\n[ \t]*|~{1,2}|`{1,2}|[\\<$])\Z")


class Part(NamedTuple):
    """A piece of the text."""

    is_code: bool
    text: str


class CodeFinder:
    """Takes the pieces as they come, and gives back what is known to be code or text; joined, nothing is changed."""

    def __init__(self) -> None:
        self._held, self._before = "", "\n"
        self._is_text = self._is_text_for_now = False
        self._fence: re.Match[str] | None = None

    def split(self, piece: str, *, is_last: bool = False) -> list[Part]:
        """Take a piece; a stretch that may still become code is held back, up to a line's end."""
        self._held += piece
        parts: list[Part] = []
        while self._held:
            part = self._next_line(is_last=is_last) if self._fence else self._next(is_last=is_last)
            if not part.text:
                break
            parts.append(part)
            self._before, self._held = part.text[-1], self._held[len(part.text) :]
        return parts

    def _next(self, *, is_last: bool) -> Part:
        if self._is_text:
            return Part(is_code=False, text=self._held)
        window = self._before + self._held
        found = (_BLOCK_OR_BLANK if self._is_text_for_now else _BEGINS).search(window, 1)
        is_sure = is_last or bool(found and not _may_change(found))
        if found and is_sure and found.start() == 1:
            return self._begin(found)
        end = found.start() if found else len(window)
        unfinished = None if is_sure else _UNFINISHED.search(window, 1, end)
        return Part(is_code=False, text=window[1 : unfinished.start() if unfinished else end])

    def _begin(self, found: re.Match[str]) -> Part:
        """Take what was found at the beginning of what is held."""
        text, kind = found[0], found.lastgroup
        self._fence = found if kind == "fence" else None
        self._is_text = kind == "block"
        # A cell of a table may end inside of what looks like code.
        self._is_text_for_now = kind == "stray" or "|" in text
        is_in_cell = "|" in text and bool(re.search(r"\]\(|<", text))
        return Part(is_code=kind in ("fence", "ticks") and not is_in_cell, text=text)

    def _next_line(self, *, is_last: bool) -> Part:
        """Return the next line of a block of code, with the line break before it, or the rest of one."""
        assert self._fence
        end = self._held.find("\n", 1)
        whole = self._held[: end if end >= 0 else None]
        if whole[0] != "\n":
            return Part(is_code=True, text=whole)
        line, run = whole[1:].expandtabs(4), self._fence["run"]
        inner = line.strip(" ")
        indent = len(line) - len(line.lstrip(" "))
        if end < 0 and not is_last and not line.strip(f" {run[0]}"):
            return Part(is_code=True, text="")
        is_end = len(inner) >= len(run) and not inner.strip(run[0])
        # In a list, a line that is indented less ends the list and its code.
        if inner and (indent < len(self._fence["indent"]) or (is_end and indent > 3)):
            self._fence, self._is_text = None, True
            return Part(is_code=False, text=self._held)
        if is_end:
            self._fence = None
        return Part(is_code=True, text=whole)


def _may_change(found: re.Match[str]) -> bool:
    """Tell whether what was found may become something else by what comes after it."""
    rest = found.string[found.start() :]
    if found[0] in ("`", "```"):
        return "\n" not in rest and len(rest) <= 2 * MAX_INLINE_CHARS
    return len(found[0]) == len(rest) and not found[0].startswith("\n")


def split_code(text: str) -> list[Part]:
    """Cut a whole text into code and text by turns."""
    parts = CodeFinder().split(text, is_last=True)
    return [
        Part(is_code, "".join(part.text for part in run)) for is_code, run in groupby(parts, lambda part: part.is_code)
    ]
