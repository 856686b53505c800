"""Plain text, and Markdown of any dialect; front matter gives the title and is not part of the text."""

import re

from src.ingestion.parsers.dialects import plain_markdown
from src.ingestion.parsers.markdown import clean_markdown
from src.ingestion.parsers.parsed import Parsed, decode

_FRONT_MATTER = re.compile(
    r"\A(?:---[ \t]*\n(.*?)^(?:---|\.\.\.)|\+\+\+[ \t]*\n(.*?)^\+\+\+)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE
)
_TITLE = re.compile(r"^title[ \t]*[:=][ \t]*(.+?)[ \t]*$", re.MULTILINE | re.IGNORECASE)
_FIRST_KEY = re.compile(r"\A\s*(?:#.*\s+)*[\w-]+[ \t]*[:=]")


def parse_text(data: bytes) -> Parsed:
    """Parse a plain text file."""
    return Parsed(decode(data))


def parse_markdown(data: bytes) -> Parsed:
    """Parse a Markdown file; `---` or `+++` at its top is front matter only where `key:` or `key =` follows."""
    text, title = _cut_front_matter(decode(data))
    return clean_markdown(plain_markdown(text), title)


def _cut_front_matter(text: str) -> tuple[str, str]:
    match = _FRONT_MATTER.match(text)
    matter = (match[1] or match[2] or "") if match else ""
    if match is None or (matter.strip() and not _FIRST_KEY.match(matter)):
        return text, ""
    title = _TITLE.search(matter)
    return text[match.end() :], _unquote(title[1]) if title else ""


def _unquote(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1].strip() if quoted else value
