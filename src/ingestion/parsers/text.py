"""Plain text and Markdown, taken as they are; front matter gives the title and is not part of the text."""

import re

from src.ingestion.parsers.parsed import Parsed, decode

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_TITLE = re.compile(r"^title[ \t]*:[ \t]*(.+?)[ \t]*$", re.MULTILINE | re.IGNORECASE)
_FIRST_KEY = re.compile(r"\A\s*(?:#.*\s+)*[\w-]+[ \t]*:")


def parse_text(data: bytes) -> Parsed:
    """Parse a plain text file."""
    return Parsed(decode(data))


def parse_markdown(data: bytes) -> Parsed:
    """Parse a Markdown file; `---` at its top is front matter only where `key:` follows."""
    text = decode(data)
    match = _FRONT_MATTER.match(text)
    if match is None or (match[1].strip() and not _FIRST_KEY.match(match[1])):
        return Parsed(text)
    title = _TITLE.search(match[1])
    return Parsed(text[match.end() :], _unquote(title[1]) if title else "")


def _unquote(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1].strip() if quoted else value
