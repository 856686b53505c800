"""Makes a document's page of its clean Markdown: blocks as such, links, and what is marked.

Signs that no text holds stand for marks and links while the blocks are rendered; nh3 lets nothing else through.
markdown-it and nh3 are imported by the first page that is asked for: 3 MB, and a second for 1 MB of text.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from html import escape
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING
from urllib.parse import quote

from markupsafe import Markup

from src.records import Chunk
from src.retrieval.text_store import WEB_ADDRESSES

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

# Of one document, shown or sent at once: a page of 150,000 takes some MB while it is made.
PAGE_CHARS = 150_000
_NUMBER = re.compile(r"[0-9]{1,9}")
_HEADINGS_AND_SIGNS = re.compile(r"^(?:#{1,6} |```|~~~).*$|-{3,}|[`|]", re.MULTILINE)
_SIGN = re.compile("\ufdd0(\\d+)\ufdd1")
# What makes a line a block is no part of its words.
_LINE = re.compile(r"[ \t]*(?:(?:[-*+]|\d+[.)]|#{1,6})[ \t]+|\|[ \t]*)*([^\n]*)")
_CELL = re.compile(r"(?:[^|\\]|\\.)+")
_UNSEEN_LINE = re.compile(r"[ \t]*(?:`{3,}[^`\n]*|\|(?: --- \|)+)")
_TAGS = {"p", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td", "pre",
         "code", "a", "mark", "span", "br"}  # fmt: skip
_ATTRIBUTES = {"a": {"href"}, "mark": {"id"}, "span": {"id", "class"}, "ol": {"start"}, "*": {"dir"}}

Span = tuple[int, int]
Link = tuple[int, int, str]


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


def excerpt(text: str, limit_chars: int = 320) -> str:
    """Give the beginning of a passage for a list: without its heading lines and signs, in one paragraph."""
    words = " ".join(_HEADINGS_AND_SIGNS.sub(" ", text).split())
    return words if len(words) <= limit_chars else words[:limit_chars].rsplit(" ", 1)[0] + " …"


def render_part(
    text: str,
    passages: Sequence[Chunk],
    links: Sequence[Link],
    mark: Span | None,
    *,
    offset: int = 0,
    is_plain: bool,
) -> Markup:
    """Render a part of a document.

    Args:
        passages, links, mark: with their places in the document.
        offset: where in the document the part begins.
    """
    import nh3

    tags = [tag for tag in _placed_tags(text, passages, links, mark, offset) if 0 <= tag[0] <= len(text)]
    tags.sort(key=itemgetter(0, 1))
    pieces, at = [], 0
    for number, (place, _, _) in enumerate(tags):
        pieces += [text[at:place], f"\ufdd0{number}\ufdd1"]
        at = place
    signed = "".join([*pieces, text[at:]])
    html = _plain(signed) if is_plain else _markdown(signed)
    html = _SIGN.sub(lambda sign: tags[int(sign[1])][2], html)
    clean = nh3.clean(html, tags=_TAGS, attributes=_ATTRIBUTES, url_schemes={"http", "https", "mailto"})
    return Markup(clean)  # noqa: S704 - only the tags above are left in it


def _placed_tags(
    text: str, passages: Sequence[Chunk], links: Sequence[Link], mark: Span | None, offset: int
) -> Iterator[tuple[int, int, str]]:
    """Give each tag with its place in the part, and its order among those of one place: what ends there is first."""
    for chunk in passages:
        words = _words(text, chunk.start - offset, chunk.end - offset)
        for at, _ in islice(words, 1):  # none where it only begins or ends code
            yield at, 1, f'<span class="cut" id="p{chunk.number + 1}">{chunk.number + 1}</span>'
    marked = _words(text, max(0, mark[0] - offset), max(0, mark[1] - offset)) if mark else ()
    for number, (start, end) in enumerate(marked):
        yield start, 2, '<mark id="marked">' if number == 0 else "<mark>"
        yield end, -2, "</mark>"
    for start, end, target in links:
        href = target if target.startswith(WEB_ADDRESSES) else f"/documents/{quote(target)}"
        yield start - offset, 3, f'<a href="{escape(href)}">'
        yield end - offset, -3, "</a>"


def _words(text: str, start: int, end: int) -> Iterator[Span]:
    """Give the parts of a span that are words of one line or one cell of a table."""
    for line in re.finditer(r"[^\n]+", text[start:end]):
        at = start + line.start()
        if _UNSEEN_LINE.fullmatch(line[0]):
            continue
        words = _LINE.match(line[0])
        first = at + (words.start(1) if words else 0)
        cells = _CELL.finditer(text, first, at + len(line[0])) if line[0].lstrip().startswith("|") else None
        for left, right in [cell.span() for cell in cells] if cells else [(first, at + len(line[0]))]:
            piece = text[left:right]
            left += len(piece) - len(piece.lstrip())
            if piece.strip():
                yield left, left + len(piece.strip())


def _plain(text: str) -> str:
    return "".join(f'<p dir="auto">{escape(line)}</p>' for line in text.split("\n") if line.strip())


def _markdown(text: str) -> str:
    parser = _parser()
    tokens = parser.parse(text)
    for token in tokens:
        if token.type.startswith("heading"):  # the page's own title is above them
            token.tag = f"h{min(6, int(token.tag[1]) + 1)}"
        if token.nesting == 1 and token.level == 0:  # what is inside takes the direction of the whole
            token.attrSet("dir", "auto")
    html: str = parser.renderer.render(tokens, parser.options, {})
    return html


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    return MarkdownIt("zero", {"breaks": True}).enable(["fence", "heading", "list", "table", "backticks", "newline"])
