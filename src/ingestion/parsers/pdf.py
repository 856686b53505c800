"""PDF: the text layer, page by page and column by column, with the lines of a paragraph joined.

Running heads, page numbers and the lines of a table of contents are left out.

Nothing is recognised from images.
"""

import re
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from src.errors import UnreadableDocument
from src.ingestion.parsers.columns import order_columns
from src.ingestion.parsers.parsed import Parsed, tidy
from src.ingestion.parsers.pdf_tables import write_tables
from src.ingestion.parsers.running_lines import drop_running_lines

MAX_PAGES = 5000
_PAGE_BREAK = "\n\n"
# A line this much shorter than the page's widest lines ends its paragraph: above it a ragged right edge is usual.
_FULL_LINE = 0.75
_ITEM = re.compile(r"(?:[•●○◦▪■–—*\-]|\(?(?:\d{1,3}|[A-Za-z])[.)])\s")
_ROW = re.compile("- [^:]+: ")  # of a table: one line, however wide the page is
# Pdfium puts one of these where a word was broken at a line's end, and joins the two lines itself.
_BROKEN_WORD = re.compile(r"(\w+)(?:[\ufffe\x02](?:\r?\n)?|(?<=[^\W\d])[-\u2010\xad]\r?\n(?=[^\W\d]))(\w+)")
_CONTENTS_LINE = re.compile(r"(?:[.…·][ \t]?){4,}[ \t]*(?:(\d{1,4})|[ivxlc]{1,6})[ \t]*$")
MIN_CONTENTS_LINES = 3
# The last page may have a number above the count of pages: a file may lack a cover, empty pages or a first part.
MAX_MISSING_PAGES = 20
_ENDS = ".!?:;"
_LINE_END = re.compile("\r\n|\n|\r")
_WORKING_TITLE = re.compile(r"microsoft (?:word|power)|untitled|\.(?:docx?|pptx?|indd|pdf|rtf|xlsx?|qxd)\b", re.I)


def parse_pdf(data: bytes) -> Parsed:
    """Parse a PDF's text.

    Raises:
        UnreadableDocument: encrypted, broken, without text, or with too many pages.
    """
    import pypdfium2

    try:
        with closing(pypdfium2.PdfDocument(data)) as pdf:
            if len(pdf) > MAX_PAGES:
                raise UnreadableDocument(f"it has {len(pdf)} pages, more than {MAX_PAGES}; split it")
            raw = [_page_text(page) for page in pdf]
            title = " ".join(tidy(pdf.get_metadata_value("Title")).split())
    except pypdfium2.PdfiumError as exc:
        reason = "it is encrypted; save it without a password" if "password" in str(exc).lower() else f"broken: {exc}"
        raise UnreadableDocument(reason) from exc
    text, starts = join_pages(raw)
    if not text.strip():
        raise UnreadableDocument("it has no text; scanned pages need text recognition (OCR) first")
    return Parsed(text, "" if _WORKING_TITLE.search(title) else title, starts)


def join_pages(raw: Sequence[str]) -> tuple[str, tuple[int, ...]]:
    """Make one text of the pages, and tell where each begins; a paragraph goes on over the page's end."""
    whole = "\n".join(raw)
    words = frozenset(re.findall(r"\w+", whole.casefold()))
    broken = [(head + tail).casefold() in words for head, tail in _BROKEN_WORD.findall(whole)]
    is_hyphenated = 3 * sum(broken) >= len(broken) > 0
    lines = [_drop_contents(page, len(raw)) for page in drop_running_lines([_LINE_END.split(page) for page in raw])]
    text = ""
    starts: list[int] = []
    for number, page in enumerate(lines):
        joined = join_lines("\n".join(page), words, joins_unknown=is_hyphenated)
        if number:
            last, first = text.rpartition("\n")[2], joined.partition("\n")[0]
            text += " " if _continues(last, first, is_full=False, full=0) else _PAGE_BREAK
        starts.append(len(text))
        text += joined
    return text, tuple(starts)


def _drop_contents(lines: list[str], pages: int) -> list[str]:
    """Leave out the lines of a table of contents, which lead over dots to the file's pages, one after the other.

    Lists of prices and of telephones lead over dots to other numbers.
    """
    found = [_CONTENTS_LINE.search(line) for line in lines]
    kept = [line for line, match in zip(lines, found, strict=True) if not match]
    numbers = [int(match[1]) for match in found if match and match[1]]
    last = pages + min(pages, MAX_MISSING_PAGES)
    are_pages = pages > 1 and numbers == sorted(numbers) and max(numbers, default=0) <= last
    return kept if are_pages and len(lines) - len(kept) >= MIN_CONTENTS_LINES else lines


def _page_text(page: Any) -> str:
    with closing(page), closing(page.get_textpage()) as text_page:
        boxes = [text_page.get_rect(at) for at in range(text_page.count_rects())]
        columns = order_columns(boxes)
        pieces = [str(text_page.get_text_bounded(*box, errors="replace")) for box in columns or boxes]
        if columns:
            return "\n".join(pieces)
        text = str(text_page.get_text_range(errors="replace"))
        return write_tables(text, list(zip(boxes, pieces, strict=True)))


def join_lines(text: str, words: frozenset[str], *, joins_unknown: bool = False) -> str:
    """Make paragraphs of a page's lines: a line that reaches the right edge goes on in the next one.

    Args:
        words: all words of the document in lower case; a word broken at a line's end loses its hyphen only where it is
            one of them.
        joins_unknown: it does so in any case, as words are broken all over the document.
    """
    whole = _BROKEN_WORD.sub(
        lambda broken: (
            broken[1] + ("" if joins_unknown or (broken[1] + broken[2]).casefold() in words else "-") + broken[2]
        ),
        text,
    )
    lines = [line.strip() for line in _LINE_END.split(whole)]
    widths = sorted(len(line) for line in lines if line and not _ROW.match(line))
    full = _FULL_LINE * widths[int(0.9 * (len(widths) - 1))] if widths else 0
    joined: list[str] = []
    is_full = False
    for line in lines:
        if joined and _continues(joined[-1], line, is_full=is_full, full=full):
            joined[-1] += " " + line
        else:
            joined.append(line)
        is_full = len(line) >= full
    return tidy("\n".join(joined)).strip()


def _continues(before: str, line: str, *, is_full: bool, full: float) -> bool:
    leads_to_number = _CONTENTS_LINE.search(before[-20:])  # a paragraph before can be long
    if not before or not line or leads_to_number or _ITEM.match(line):
        return False
    is_heading = before[-1] in _ENDS and len(line) < full and line[-1] not in _ENDS
    return line[0].islower() or (is_full and not is_heading)
