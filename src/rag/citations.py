"""`[n]` markers: those that stand for a retrieved passage become citations, the others go."""

import re
from collections.abc import Iterator, Sequence

from src.rag.code_finder import split_code
from src.records import Chunk, Citation, Hit
from src.retrieval.analyzer import content_stems

# As LLMs write them: [1], [1, 7], [1-3], [^1], [Passage 2], 【3】, 【3†source】. Longer than this none can be.
MAX_MARKER_CHARS = 200
_MARKER = re.compile(
    r"(?<![ \t])[ \t]*(?:\[|【)\s{0,3}\^?(?:(?:passages?|sources?|documents?)\s{1,3})?"
    r"(?P<numbers>#?\d{1,4}(?:\s{0,3}(?:,|;|&|and|-|–|—|to)\s{0,3}#?\d{1,4}){0,9})(?:†[^\]】]{0,30})?\s{0,3}(?:\]|】)",
    re.IGNORECASE,
)
# HTML that makes a reader of Markdown fetch something, or ask for something.
LOADING_TAG = re.compile(
    r"<(?=/?(?:img|iframe|script|style|link|object|embed|video|audio|source|svg|form|base|meta)\b)", re.IGNORECASE
)
_CODE_SIGNS = ("`", "~", "\\", "$")
_BRACKET = re.compile(r"[\[【]")
_OPEN_TAG = re.compile(r"</?[A-Za-z]{0,8}\Z")
_RANGE = re.compile(r"(\d+)\s*(?:-|–|—|to)\s*#?(\d+)", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")


def find_citations(text: str, hits: Sequence[Hit]) -> tuple[Citation, ...]:
    """Cite for each passage that is mentioned outside code, in that order, its sentence that supports the answer best.

    A number that is no passage's is passed over.
    """
    readable = (_BRACKET.sub(" ", part.text) if part.is_code else part.text for part in split_code(text))
    claims: dict[int, str] = {}
    for sentence in _sentences_with_markers("".join(readable)):
        for match in _MARKER.finditer(sentence):
            for number in _expand(match["numbers"]):
                claims.setdefault(number, sentence)
    chunks = dict(enumerate((hit.chunk for hit in hits), start=1))
    return tuple(
        cite(number, chunks[number], *_support(chunks[number], claim))
        for number, claim in claims.items()
        if number in chunks
    )


def normalise_markers(text: str, passages: int) -> str:
    """Write every marker as `[n]` and remove those of passages that do not exist.

    What stands around a removed one must not become a marker or a tag by that, as in `[[9]7]`, and signs that begin or
    end code must not come together.
    """

    def replace(match: re.Match[str]) -> str:
        numbers = [number for number in _expand(match["numbers"]) if 1 <= number <= passages]
        blank = match[0][: len(match[0]) - len(match[0].lstrip(" \t"))]
        if not numbers:
            is_beside_code = text[: match.start()].endswith(_CODE_SIGNS)
            return "…" if is_beside_code or _is_inside(text, match.start()) else ""
        return blank + "".join(f"[{number}]" for number in dict.fromkeys(numbers))

    return _MARKER.sub(replace, text)


def remove_markers(text: str) -> str:
    """Remove everything that looks like a marker, as from a quoted sentence that has references of its own."""
    return normalise_markers(text, 0)


def cite(marker: int, chunk: Chunk, start: int, end: int, highlights: Sequence[tuple[int, int]] = ()) -> Citation:
    """Make the citation of a span of a passage.

    Args:
        start, end: span in the passage's text.
        highlights: spans in the document's text.
    """
    return Citation(
        marker=marker,
        document=chunk.document,
        title=chunk.title,
        section=chunk.section,
        page=chunk.page,
        excerpt=chunk.text[start:end],
        start=chunk.start + start,
        end=chunk.start + end,
        highlights=tuple(highlights),
    )


def _is_inside(text: str, at: int) -> bool:
    """Tell whether a place is inside a bracket or in the name of a tag that is open there."""
    opened, closed = (max(text.rfind(sign, 0, at) for sign in signs) for signs in ("[【", "]】"))
    is_in_bracket = opened > closed and len(" ".join(text[opened:at].split())) <= MAX_MARKER_CHARS
    return is_in_bracket or bool(_OPEN_TAG.search(text, max(0, at - 10), at))


def _expand(numbers: str) -> list[int]:
    """Read `1, 3-5` as 1, 3, 4, 5; a range of over 20 is none that an LLM means."""
    found: list[int] = []
    for part in re.split(r"\s*(?:,|;|&|\band\b)\s*", numbers):
        span = _RANGE.search(part)
        first, last = (int(span[1]), int(span[2])) if span else (int(part.lstrip("#")),) * 2
        found += range(first, last + 1) if first <= last <= first + 20 else [first, last]
    return found


def _sentences_with_markers(text: str) -> Iterator[str]:
    """Cut a text into sentences; markers written after the full stop stay with the sentence before."""
    glued = re.sub(r"([.!?])(\s*(?:\[\d+\]\s*)+)", lambda match: f" {match[2].strip()}{match[1]} ", text)
    yield from _SENTENCE_END.split(glued)


def _support(chunk: Chunk, claim: str) -> tuple[int, int]:
    """Return the span of the passage's sentence that shares most words with the claim; all of it where none does."""
    claimed = set(content_stems(remove_markers(claim)))
    overlaps = [len(claimed.intersection(content_stems(chunk.text[start:end]))) for start, end in chunk.sentences]
    best = max(overlaps, default=0)
    return chunk.sentences[overlaps.index(best)] if best else (0, len(chunk.text))
