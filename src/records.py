"""The records that cross module borders.

Frozen and slotted, so that a record handed to another module stays what it was. Dicts exist only at the JSON, SQLite
and Chroma edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Literal

PLAIN_SUFFIXES = frozenset({".txt", ".pdf", ".eml", ".msg"})

RetrievalKind = Literal["hybrid", "lexical", "dense"]
AnsweredBy = Literal["llm", "extractive", "none"]


class MemoryMode(StrEnum):
    """How much the process may still spend; the thresholds are in `src/memory/thresholds.py`."""

    NORMAL = "NORMAL"
    CAUTIOUS = "CAUTIOUS"
    DEGRADED = "DEGRADED"

    @property
    def search_kind(self) -> RetrievalKind:
        """What is searched by; in DEGRADED words alone, which needs neither the model nor the vectors."""
        return "lexical" if self is MemoryMode.DEGRADED else "hybrid"


def is_plain(path: str) -> bool:
    """Tell by a document's path whether its text is plain, not Markdown."""
    return PurePosixPath(path).suffix.lower() in PLAIN_SUFFIXES


@dataclass(frozen=True, slots=True)
class Document:
    """A document as text. Every span in the project counts characters of `text`.

    Args:
        path: relative to the documents folder, with forward slashes; it identifies the document.
        text: clean Markdown where the format has structure (`parsers/markdown.py`), else plain text; lines end with
            `\\n`.
        page_starts: where each page begins in `text`, ascending, first 0; empty for formats without pages.
        sha256: of the file's bytes, in hex.
        links: (start, end, where to): an address, or the path of a document, which need not be indexed; ascending.
    """

    path: str
    title: str
    text: str
    sha256: str
    page_starts: tuple[int, ...] = ()
    links: tuple[tuple[int, int, str], ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether the text is plain, where a `#` or a `-` at the beginning of a line is only that."""
        return is_plain(self.path)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of a document, short enough for the model's window.

    Args:
        chunk_id: `<document>#<n>`, n counting from 0 within the document.
        section: the headings above it joined by " > ", without the title; "" where there are none.
        page: counting from 1; None for formats without pages.
        start, end: span in the document's text; `text` is exactly that span.
        sentences: spans in `text`, ascending, not overlapping: what an extractive answer may quote. A list item or a
            table row is one sentence.
        lead: what the chunk's beginning continues: a table's head ("Grade | Days") or the sentence that leads into a
            list or code; "" where it begins by itself.
    """

    chunk_id: str
    document: str
    title: str
    section: str
    page: int | None
    text: str
    start: int
    end: int
    sentences: tuple[tuple[int, int], ...]
    lead: str = ""

    @property
    def number(self) -> int:
        """Its place among the document's passages, from 0."""
        return int(self.chunk_id.rpartition("#")[2])


@dataclass(frozen=True, slots=True)
class Hit:
    """A retrieved passage; a higher score is better, comparable only within one result.

    Args:
        cosines: of the question and each of the passage's sentences; empty where nothing was embedded.
    """

    chunk: Chunk
    score: float
    cosines: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Filters:
    """What a search is narrowed to; no documents named means all."""

    documents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Retrieval:
    """The hits of one search, best first.

    Args:
        total: how many passages were candidates before `limit` and `offset` cut the list.
        embed_ms, retrieve_ms: wall time of the question's embedding and of the search.
        nearest: the largest sum of a chunk's cosine with the question and that of its nearest sentence, -2 to 2; None
            where nothing was embedded.
    """

    hits: tuple[Hit, ...]
    kind: RetrievalKind
    total: int
    embed_ms: float
    retrieve_ms: float
    nearest: float | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier turn of a conversation."""

    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Citation:
    """What a marker `[n]` in an answer stands for: `excerpt` is the document's text from `start` to `end`.

    Args:
        highlights: spans in the document's text, inside the excerpt: the sentences that fit the question best.
    """

    marker: int
    document: str
    title: str
    section: str
    page: int | None
    excerpt: str
    start: int
    end: int
    highlights: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with what it rests on. Every `[n]` in `text` outside code is the marker of a citation.

    Args:
        model: the LLM that wrote it; None when none did.
        notice: a short sentence for the person where something was not as usual; None otherwise.
    """

    text: str
    grounded: bool
    answered_by: AnsweredBy
    model: str | None
    citations: tuple[Citation, ...]
    retrieval: Retrieval
    mode: MemoryMode
    generate_ms: float
    total_ms: float
    notice: str | None = None


@dataclass(frozen=True, slots=True)
class Sources:
    """First event of a streamed answer: what was retrieved."""

    retrieval: Retrieval


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the answer's text, as it comes."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """Last event: the whole answer, which replaces the pieces (invented markers are gone from it)."""

    answer: Answer


AnswerEvent = Sources | Token | Done
