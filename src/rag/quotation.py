"""Answers without an LLM: the passage that fits best, quoted whole and in order, with the best sentences marked.

A long passage is cut around its best sentence, at the borders of sentences, list items and table rows. What carries the
subject comes along: a heading with its text, a lead-in with its list, a table's head with its row, in English the
sentence that the first one continues. A second passage is quoted only where it fits nearly as well.
"""

import re
from collections.abc import Sequence

from src.rag.citations import LOADING_TAG, cite, remove_markers
from src.rag.code_finder import split_code
from src.records import Chunk, Citation, Hit, is_plain
from src.retrieval.analyzer import share_words

# Chosen on people_dev with the rest of this file; docs/decisions/0003 has the figures.
MAX_WORDS = 170
# How near its score must come to the best one's for a second passage to be quoted, and how much of it.
SECOND_MARGIN = 0.16
MAX_SECOND_WORDS = 90
# Sentences whose cosine comes this near to the best one's are marked too, three in all.
HIGHLIGHT_MARGIN = 0.1
MAX_HIGHLIGHTS = 3
# A sentence longer than this, such as a wall of code, is embedded and cut here.
MAX_SENTENCE_WORDS = 80

_BULLET = re.compile(r"[ \t>]*(?:[-*+•]|\d{1,3}[.)])[ \t]+(?:\[[ xX]\][ \t]+)?\Z")
# Or a comment in code.
_HEADING = re.compile(r"^#{1,6}[ \t]+", re.MULTILINE)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
_CODE = re.compile(r"(`[^`\n]*`)")
# An English sentence that begins so continues the one before it.
_CONTINUES = re.compile(
    r"(?:This|That|These|Those|It|They|He|She|Its|Their|However|Therefore|Thus|Also|Instead|Otherwise|But|And|So|Such|Then)"
    r"\b",
)
_INDEX = re.compile(r"\[(\d+)\]")


def answer_by_quotation(question: str, hits: Sequence[Hit]) -> tuple[str, list[Citation]]:
    """Quote the best passage, and the second one where it fits nearly as well; "" without passages."""
    pieces: list[str] = []
    citations: list[Citation] = []
    for marker, hit in enumerate(hits[:2], start=1):
        if hit.score >= hits[0].score - SECOND_MARGIN:
            text, citation = _quote(question, hit, marker, MAX_WORDS if marker == 1 else MAX_SECOND_WORDS)
            pieces.append(text)
            citations.append(citation)
    return "\n\n".join(pieces), citations


def read_sentence(chunk: Chunk, sentence: int) -> str:
    """Return a sentence fit to be read alone: on one line, without references of its own, cut where it is very long.

    A table's row comes with its head. This is what the build embeds.
    """
    start, end = chunk.sentences[sentence]
    text = chunk.text[start:end]
    if text.startswith("|"):
        text = _read_row(text, _find_head(chunk, start), ", ")
    words = remove_markers(text).split()
    return " ".join(words if len(words) <= MAX_SENTENCE_WORDS else [*words[: MAX_SENTENCE_WORDS - 1], "…"])


def _quote(question: str, hit: Hit, marker: int, max_words: int) -> tuple[str, Citation]:
    chunk = hit.chunk
    fits = list(hit.cosines) or [share_words(question, chunk.text[start:end]) for start, end in chunk.sentences]
    start, end = 0, len(chunk.text)
    lead_in = None
    if len(chunk.text.split()) > max_words and fits:
        first, last = _cut(chunk, fits.index(max(fits)), max_words)
        first -= _continues_sentence_before(chunk, first)
        start = 0 if first == 0 else _line_start(chunk.text, chunk.sentences[first][0])
        end = chunk.sentences[last][1]
        lead_in = _find_lead_in(chunk, first)
    lines = _read_part(chunk, start, end)
    heading = chunk.section.rpartition(" > ")[2]
    if lead_in is not None:
        lines = f"{read_sentence(chunk, lead_in)}\n{lines}"
    elif start == 0 and chunk.lead and not _is_row(chunk.text):
        lines = f"{chunk.lead}\n{lines}"
    if heading and not _HEADING.match(chunk.text[start:end].lstrip()):
        lines = f"**{heading}**\n\n{lines}"
    lines = "".join(part.text if part.is_code else _keep_from_loading(part.text) for part in split_code(lines))
    separator = "\n" if lines.endswith("```") else " "
    inside = [(max(left, start), min(right, end)) for left, right in _choose_highlights(chunk, fits)]
    spans = [(chunk.start + left, chunk.start + right) for left, right in inside if left < right]
    return f"{lines}{separator}[{marker}]", cite(marker, chunk, start, end, spans)


def _keep_from_loading(text: str) -> str:
    """Make text of what would be an image: an e-mail is written by a stranger."""
    return LOADING_TAG.sub("‹", text.replace("![", "! ["))


def _cut(chunk: Chunk, best: int, max_words: int) -> tuple[int, int]:
    """Grow from the best sentence to both sides until the words are used up; the first and the last sentence."""
    sizes = [len(chunk.text[start:end].split()) for start, end in chunk.sentences]
    first = last = best
    room = max_words - sizes[best]
    while True:
        sides = [at for at in (first - 1, last + 1) if 0 <= at < len(sizes) and sizes[at] <= room]
        if not sides:
            return first, last
        # The nearer side; what comes before explains what comes after.
        at = min(sides, key=lambda side: abs(side - best))
        first, last, room = min(first, at), max(last, at), room - sizes[at]


def _continues_sentence_before(chunk: Chunk, sentence: int) -> bool:
    """Tell whether a sentence continues the one before it; not where a heading or a list is between."""
    at, end = chunk.sentences[sentence]
    if sentence == 0 or not _CONTINUES.match(chunk.text, at, end) or _is_item(chunk, sentence - 1):
        return False
    return not _HEADING.search(chunk.text, chunk.sentences[sentence - 1][0], at)


def _choose_highlights(chunk: Chunk, fits: Sequence[float]) -> list[tuple[int, int]]:
    if not fits or max(fits) <= 0:
        return []
    ranked = sorted(range(len(fits)), key=lambda sentence: -fits[sentence])[:MAX_HIGHLIGHTS]
    near = [sentence for sentence in ranked if fits[sentence] >= fits[ranked[0]] - HIGHLIGHT_MARGIN]
    return [chunk.sentences[sentence] for sentence in sorted(near)]


def _is_item(chunk: Chunk, sentence: int) -> bool:
    start = chunk.sentences[sentence][0]
    return bool(_BULLET.match(chunk.text[_line_start(chunk.text, start) : start]))


def _find_lead_in(chunk: Chunk, item: int) -> int | None:
    """Return the sentence ending with a colon that introduces an item's list; None where there is none before it."""
    first = item
    while first > 0 and _is_item(chunk, first):
        first -= 1
    start, end = chunk.sentences[first]
    return first if first < item and chunk.text[start:end].endswith(":") else None


def _line_start(text: str, at: int) -> int:
    """Return where a line begins, if only a list's mark or a table's border is between; else `at` itself."""
    start = text.rfind("\n", 0, at) + 1
    return start if not text[start:at].strip("-*+•>|.) \t0123456789[]xX") else at


def _starts_in_code(chunk: Chunk, start: int, end: int) -> bool:
    """Tell whether a part of a passage begins inside a block of code, whose first fence is not in it."""
    if len(_FENCE.findall(chunk.text, 0, start)) % 2:
        return True
    fence = _FENCE.search(chunk.text, start, end)
    comment = _HEADING.search(chunk.text, start, fence.start() if fence else end)
    # A heading is no sentence, a comment in code is.
    return comment is not None and any(first <= comment.start() < last for first, last in chunk.sentences)


def _read_part(chunk: Chunk, start: int, end: int) -> str:
    text = chunk.text[start:end]
    if is_plain(chunk.document):
        return remove_markers(text).strip()
    return render(text, _find_head(chunk, start), is_code=_starts_in_code(chunk, start, end))


def render(text: str, table_head: Sequence[str] = (), *, is_code: bool = False) -> str:
    """Write clean Markdown as a person reads it: bold headings, rows that name their columns; lists and code stay.

    Args:
        table_head: of the table in which the text begins.
        is_code: whether the text begins inside a block of code.
    """
    lines: list[str] = ["```"] if is_code else []
    head = list(table_head)
    source = text.split("\n")
    for line, following in zip(source, [*source[1:], ""], strict=True):
        if _FENCE.match(line):
            is_code = not is_code
            lines.append("```")
        elif is_code:
            lines.append(_to_code(line))
        elif _is_row(line):
            if _is_rule(following):
                head = _cells(line)
            elif not _is_rule(line):
                lines.append("- " + _read_row(line, head, "; "))
        else:
            head = []
            words = _to_plain(_HEADING.sub("", line))
            lines += ["", f"**{words}**", ""] if _HEADING.match(line) else [words]
    if is_code:
        lines.append("```")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in lines)).strip()


def _to_plain(line: str) -> str:
    """Leave out what looks like a marker; in code it stays, written so that it is none."""
    parts = _CODE.split(line)
    return "".join(_to_code(part) if number % 2 else remove_markers(part) for number, part in enumerate(parts))


def _to_code(code: str) -> str:
    """Write `[3]` so that it is no marker; it means the same."""
    return _INDEX.sub(r"[ \1 ]", code)


def _read_row(row: str, head: Sequence[str], separator: str) -> str:
    cells = [_to_plain(cell) for cell in _cells(row)]
    if len(head) != len(cells):
        return separator.join(cell for cell in cells if cell)
    pairs = zip(head, cells, strict=True)
    return "; ".join(f"{_to_plain(name)}: {cell}" if name else cell for name, cell in pairs if cell)


def _find_head(chunk: Chunk, at: int) -> list[str]:
    """Return the names of the columns of the table in whose middle this place is; none where it is in no table."""
    lines = chunk.text[:at].rstrip("\n ").split("\n")
    while lines and _is_row(lines[-1]):
        if _is_rule(lines.pop()):
            return _cells(lines[-1]) if lines and _is_row(lines[-1]) else []
    # The table began before this chunk.
    return chunk.lead.split(" | ") if not any(line.strip() for line in lines) and _is_row(chunk.text) else []


def _is_row(line: str) -> bool:
    return line.lstrip().startswith("|")


def _is_rule(line: str) -> bool:
    """Tell whether a line is what stands between a table's head and its rows."""
    return _is_row(line) and "-" in line and not line.strip("|:- \t")


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip().removeprefix("|").removesuffix("|"))]
