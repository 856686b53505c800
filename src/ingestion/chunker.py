"""Splits a document into chunks that fit the model's window, along its structure.

A chunk never crosses a heading; the heading's line belongs to the text after it. What is embedded for a chunk is
`embedding_text`, here and nowhere else.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from src.artifacts import TOKENIZER_FILE, ModelCard
from src.ingestion.leads import Lead, find_leads
from src.ingestion.outline import Heading, Outline
from src.ingestion.sentences import Span, find_markdown_sentences, find_plain_sentences, strip_span
from src.records import Chunk, Document

if TYPE_CHECKING:
    from semantic_text_splitter import MarkdownSplitter, TextSplitter

# Tokens of a chunk's own text; title and section come on top of it and must fit the window with it.
TARGET_TOKENS = 200
# A heading path longer than this loses its outermost headings, so that the text keeps most of the window.
MAX_SECTION_TOKENS = 48
# Headings without text of their own go before the next text, up to this many tokens; more are text themselves.
MAX_HEADING_RUN_TOKENS = 64
MIN_CAPACITY_TOKENS = 32
# The head of a wide table loses its last columns.
MAX_LEAD_TOKENS = 48
SPECIAL_TOKENS = 2
# BERT takes a word of over 100 letters for one token: a wall of base64 would be one chunk without this bound.
MAX_CHUNK_CHARS = 4000
# The splitter's time grows with the square of what has no end of a line or sentence; more than this is no prose.
MAX_STRETCH_CHARS = 20_000
SECTION_SEPARATOR = " > "

_STRETCH = re.compile(r"(?:[^\n.!?。！？]|[.!?](?!\s))++")
_LEADING_HEADING = re.compile(r"#{1,6}[ \t]+([^\n]*?)[ \t#]*(?:\n+|\Z)")


@dataclass(slots=True)
class _Section:
    """Text under one heading path: `start` is where its headings begin, `body` where their text does."""

    path: tuple[str, ...]
    start: int
    body: int
    end: int


class Chunker:
    """Splits documents with the model's own tokenizer.

    Raises:
        ArtifactError: there is no embedding model.
    """

    def __init__(self, model_dir: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(model_dir / TOKENIZER_FILE))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._window = ModelCard.load(model_dir).passage_tokens - SPECIAL_TOKENS
        self._get_splitter = cache(self._build_splitter)

    @property
    def description(self) -> str:
        """The splitter's name and settings in one line, for the manifest."""
        from importlib import metadata

        version = metadata.version("semantic-text-splitter")
        return f"semantic-text-splitter {version}, target {TARGET_TOKENS} tokens, window {self._window}, sections 1"

    def count_tokens(self, text: str) -> int:
        """Count the tokens of a text, special tokens not included."""
        return len(self._tokenizer.encode(text, add_special_tokens=False))

    def split(self, document: Document) -> list[Chunk]:
        """Split a document; the chunks come in its order and every letter of it is in one of them."""
        text = document.text
        leads: list[Lead] = []
        if document.is_plain:
            sections = [_Section((), 0, 0, len(text))]
            sentences = find_plain_sentences(text, lines_are_paragraphs=bool(document.page_starts))
        else:
            outline = Outline.parse(text)
            sections = self._sections(text, outline.headings())
            sentences = find_markdown_sentences(outline)
            leads = [replace(lead, text=self._shorten(lead.text)) for lead in find_leads(outline)]
        chunks: list[Chunk] = []
        for section in sections:
            name = self._section_name(section.path, document.title)
            inside = [lead for lead in leads if section.start <= lead.start < section.end]
            longest = max((lead.text for lead in inside), key=len, default="")
            for start, end in self._spans(text, section, f"{document.title}\n{name}\n{longest}", document.is_plain):
                # the innermost one: of a table or of code inside a list
                about = ["", *(lead.text for lead in inside if lead.start <= start < lead.end)]
                chunks.append(_chunk(document, len(chunks), name, (start, end), sentences, about[-1]))
        return chunks

    def _shorten(self, lead: str) -> str:
        ends = self._tokenizer.encode(lead, add_special_tokens=False).offsets
        return lead if len(ends) <= MAX_LEAD_TOKENS else lead[: ends[MAX_LEAD_TOKENS - 1][1]]

    def _sections(self, text: str, headings: list[Heading]) -> list[_Section]:
        if not headings:
            return [_Section((), 0, 0, len(text))]
        sections = [_Section((), 0, 0, headings[0].start)] if text[: headings[0].start].strip() else []
        open_headings: list[Heading] = []
        run_start: int | None = None
        for heading, following in zip(headings, [*headings[1:], None], strict=True):
            open_headings = [*(above for above in open_headings if above.level < heading.level), heading]
            start = heading.start if run_start is None else run_start
            end = following.start if following else len(text)
            if text[heading.end : end].strip():
                path = tuple(above.title for above in open_headings if above.title)
                sections.append(_Section(path, start, self._body(text, start, heading.end), end))
                run_start = None
            elif following is None and sections:
                sections[-1].end = end
            elif following is None:
                sections.append(_Section((), start, start, end))
            else:
                run_start = start
        return sections

    def _body(self, text: str, start: int, end: int) -> int:
        return end if self.count_tokens(text[start:end]) <= MAX_HEADING_RUN_TOKENS else start

    def _section_name(self, path: tuple[str, ...], title: str) -> str:
        headings = path[1:] if path and path[0].casefold() == title.casefold() else path
        limit = min(MAX_SECTION_TOKENS, self._window // 4)
        while len(headings) > 1 and self.count_tokens(SECTION_SEPARATOR.join(headings)) > limit:
            headings = headings[1:]
        return SECTION_SEPARATOR.join(headings)

    def _spans(self, text: str, section: _Section, prefix: str, is_plain: bool) -> Iterator[Span]:
        head = text[section.start : section.body]
        room = self._window - self.count_tokens(f"{prefix}\n{head}")
        capacity = max(min(TARGET_TOKENS, room), MIN_CAPACITY_TOKENS)
        for number, (start, end) in enumerate(self._pieces(text, section.body, section.end, capacity, is_plain)):
            for part in _bounded(section.start if number == 0 else start, end):
                left, right = strip_span(text, *part)
                if left < right:
                    yield left, right

    def _pieces(self, text: str, start: int, end: int, capacity: int, is_plain: bool) -> Iterator[Span]:
        splitter = self._get_splitter(capacity, is_plain)
        stretches = [found.span() for found in _STRETCH.finditer(text, start, end)]
        for left, right in [*(span for span in stretches if span[1] - span[0] > MAX_STRETCH_CHARS), (end, end)]:
            for offset, piece in splitter.chunk_indices(text[start:left]):
                yield start + offset, start + offset + len(piece)
            yield from self._cut(text, left, right, capacity)
            start = right

    def _cut(self, text: str, start: int, end: int, capacity: int) -> Iterator[Span]:
        """Cut a stretch after a number of tokens, at a blank where there is one."""
        piece = text[start:end]
        tokens = [first for first, _ in self._tokenizer.encode(piece, add_special_tokens=False).offsets]
        at = 0
        while at < len(piece):
            after = bisect_left(tokens, at) + capacity
            stop = tokens[after] if after < len(tokens) else len(piece)
            blank = piece.rfind(" ", (at + stop) // 2, stop)
            stop = blank if blank > at and stop < len(piece) else max(stop, at + 1)
            yield start + at, start + stop
            at = stop

    def _build_splitter(self, capacity: int, is_plain: bool) -> "MarkdownSplitter | TextSplitter":
        from semantic_text_splitter import MarkdownSplitter, TextSplitter

        # `from_huggingface_tokenizer` copies the tokenizer for each capacity: 6 MB and 21 ms.
        kind = TextSplitter if is_plain else MarkdownSplitter
        return kind.from_callback(self.count_tokens, capacity)


def embedding_text(chunk: Chunk) -> str:
    """What is embedded for a chunk: title, section, lead, and its text without the headings they repeat."""
    known = {chunk.title.casefold(), *chunk.section.casefold().split(SECTION_SEPARATOR)}
    text = chunk.text
    while (match := _LEADING_HEADING.match(text)) and match.end() < len(text) and match[1].casefold() in known:
        text = text[match.end() :]
    return "\n".join(part for part in (chunk.title, chunk.section, chunk.lead, text) if part)


def _chunk(document: Document, number: int, section: str, span: Span, sentences: list[Span], lead: str) -> Chunk:
    start, end = span
    first = bisect_right(sentences, start, key=lambda sentence: sentence[1])
    after = bisect_left(sentences, end, lo=first, key=lambda sentence: sentence[0])
    inside: list[Span] = []
    for left, right in sentences[first:after]:
        left, right = strip_span(document.text, max(left, start), min(right, end))
        if left < right:
            inside.append((left - start, right - start))
    page = bisect_right(document.page_starts, start) if document.page_starts else None
    return Chunk(f"{document.path}#{number}", document.path, document.title, section, page,
                 document.text[start:end], start, end, tuple(inside), lead)  # fmt: skip


def _bounded(start: int, end: int) -> Iterator[Span]:
    for left in range(start, end, MAX_CHUNK_CHARS):
        yield left, min(left + MAX_CHUNK_CHARS, end)
