"""Where the sentences of a document are: what an extractive answer may quote.

Spans are of the text as written, ascending, without blank ends. A list item, a table row and a line of code are one
sentence each; headings and the marks that make Markdown are none.
"""

import re
from collections.abc import Iterator

from src.ingestion.outline import Outline

Span = tuple[int, int]

_ITEM_MARK = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])?[ \t]+")
_BULLET_LINE = re.compile(r"[ \t]*(?:[-*+•●○◦▪■–]|\(?(?:\d{1,3}|[A-Za-z])[.)])[ \t]+(?=\S)")
_RULE_LINE = re.compile(r"[ \t]*([-=_*~#+.])\1{2,}[ \t]*\Z")
# A plain text marks its headings by nothing but their shape.
_MAX_HEADING_WORDS = 10
_ENDS = tuple('.!?;…"”’)')


def find_markdown_sentences(outline: Outline) -> list[Span]:
    """Find the sentences of a Markdown text."""
    spans: list[Span] = []
    tags: list[str] = []
    has_body = False
    for token in outline.tokens:
        if token.nesting == 1:
            tags.append(token.type)
        elif token.nesting == -1:
            tags.pop()
        start, end = outline.span(token)
        if token.type == "table_open":
            has_body = _has_body(outline.text[start:end])
        if token.type == "tr_open" and not (has_body and "thead_open" in tags):
            spans += _trimmed(outline.text, start, end)
        elif token.type == "fence":
            spans += _code_lines(outline.text, start, end)
        elif token.type == "inline" and tags[-1] == "paragraph_open":
            spans += _paragraph(outline.text, start, end, is_item="list_item_open" in tags)
    return spans


def find_plain_sentences(text: str, *, lines_are_paragraphs: bool) -> list[Span]:
    """Find the sentences of a plain text; paragraphs end at blank lines and before list items."""
    spans: list[Span] = []
    start, is_item = 0, False
    for line in re.finditer(r"[^\n]*\n?", text):
        item = _BULLET_LINE.match(line[0])
        is_rule = bool(_RULE_LINE.match(line[0].rstrip()))
        if item or is_rule or lines_are_paragraphs or not line[0].strip():
            spans += _block(text, start, line.start(), is_item=is_item)
            start = line.end() if is_rule else line.start() + (item.end() if item else 0)
            is_item = item is not None
    spans += _block(text, start, len(text), is_item=is_item)
    return spans


def _block(text: str, start: int, end: int, *, is_item: bool) -> Iterator[Span]:
    if is_item:
        return _trimmed(text, start, end)
    return iter(()) if _is_heading_like(text[start:end]) else _segment(text, start, end)


def _is_heading_like(block: str) -> bool:
    line = block.strip()
    has_sign = "\n" in line or line[-1:] in _ENDS or ":" in line or any(character.isdigit() for character in line)
    return not has_sign and len(line.split()) <= _MAX_HEADING_WORDS


def _segment(text: str, start: int, end: int) -> Iterator[Span]:
    from nupunkt import sent_spans

    block = text[start:end]
    if not block.strip():
        return
    for first, after in sent_spans(block):
        yield from _trimmed(text, start + first, start + after)


def _paragraph(text: str, start: int, end: int, *, is_item: bool) -> Iterator[Span]:
    mark = _ITEM_MARK.match(text, start, end)
    start = mark.end() if mark else start
    return _trimmed(text, start, end) if is_item else _segment(text, start, end)


def _code_lines(text: str, start: int, end: int) -> Iterator[Span]:
    lines = list(re.finditer(r"[^\n]+", text[start:end]))
    is_closed = len(lines) > 1 and re.match(r"[ \t]*(?:```|~~~)", lines[-1][0])
    for line in lines[1:-1] if is_closed else lines[1:]:
        yield from _trimmed(text, start + line.start(), start + line.end())


def _trimmed(text: str, start: int, end: int) -> Iterator[Span]:
    left, right = strip_span(text, start, end)
    if any(character.isalnum() for character in text[left:right]):
        yield left, right


def find_last_sentence(text: str, start: int, end: int) -> str:
    """Return the last sentence of a stretch of prose, on one line; "" where there is none."""
    found = list(_paragraph(text, start, end, is_item=False))
    return " ".join(text[slice(*found[-1])].split()) if found else ""


def strip_span(text: str, start: int, end: int) -> Span:
    """Narrow a span so that it neither begins nor ends with white space."""
    piece = text[start:end]
    left = start + len(piece) - len(piece.lstrip())
    return left, left + len(piece.strip())


def _has_body(table: str) -> bool:
    return len([line for line in table.split("\n") if line.strip()]) > 2
