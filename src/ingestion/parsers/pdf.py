"""PDF: the text layer, page by page, with the lines of a paragraph joined; running heads and page numbers are left out.

Nothing is recognised from images.
"""

import re
from itertools import accumulate
from typing import Any

from src.errors import UnreadableDocument
from src.ingestion.parsers.parsed import Parsed, tidy
from src.ingestion.parsers.running_lines import drop_running_lines

MAX_PAGES = 5000
_PAGE_BREAK = "\n\n"
# A line this much shorter than the page's widest lines ends its paragraph: above it a ragged right edge is usual.
_FULL_LINE = 0.75
_ITEM = re.compile(r"(?:[•●○◦▪■–—*\-]|\(?(?:\d{1,3}|[A-Za-z])[.)])\s")
# Pdfium puts one of these where a word was broken at a line's end, and joins the two lines itself.
_BROKEN_WORD = re.compile(r"(\w+)[\ufffe\x02](?:\r?\n)?(\w+)")
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
        pdf = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as exc:
        reason = "it is encrypted; save it without a password" if "password" in str(exc).lower() else f"broken: {exc}"
        raise UnreadableDocument(reason) from exc
    try:
        if len(pdf) > MAX_PAGES:
            raise UnreadableDocument(f"it has {len(pdf)} pages, more than {MAX_PAGES}; split it")
        raw = [_page_text(pdf, number) for number in range(len(pdf))]
        title = " ".join(tidy(pdf.get_metadata_value("Title")).split())
    except pypdfium2.PdfiumError as exc:
        raise UnreadableDocument(f"broken: {exc}") from exc
    finally:
        pdf.close()
    words = frozenset(re.findall(r"\w+", "\n".join(raw).casefold()))
    lines = drop_running_lines([_LINE_END.split(page) for page in raw])
    pages = [join_lines("\n".join(page), words) for page in lines]
    if not any(pages):
        raise UnreadableDocument("it has no text; scanned pages need text recognition (OCR) first")
    starts = accumulate((len(page) + len(_PAGE_BREAK) for page in pages[:-1]), initial=0)
    return Parsed(_PAGE_BREAK.join(pages), "" if _WORKING_TITLE.search(title) else title, tuple(starts))


def _page_text(pdf: Any, number: int) -> str:
    page = pdf[number]
    try:
        text_page = page.get_textpage()
        try:
            return str(text_page.get_text_range(errors="replace"))
        finally:
            text_page.close()
    finally:
        page.close()


def join_lines(text: str, words: frozenset[str]) -> str:
    """Make paragraphs of a page's lines: a line that reaches the right edge goes on in the next one.

    Args:
        words: all words of the document in lower case; a word broken at a line's end loses its hyphen only where it is
            one of them.
    """
    whole = _BROKEN_WORD.sub(lambda broken: _join_word(broken[1], broken[2], words), text)
    lines = [line.strip() for line in _LINE_END.split(whole)]
    widths = sorted(len(line) for line in lines if line)
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
    if not before or not line or _ITEM.match(line):
        return False
    is_heading = before[-1] in _ENDS and len(line) < full and line[-1] not in _ENDS
    return line[0].islower() or (is_full and not is_heading)


def _join_word(head: str, tail: str, words: frozenset[str]) -> str:
    return head + ("" if (head + tail).casefold() in words else "-") + tail
