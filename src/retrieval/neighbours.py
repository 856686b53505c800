"""Passages that follow one another in a section are put together again, so that an answer reads them as they stand."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from src.records import Chunk, Hit

# Three passages are about 600 tokens: more would leave an LLM little room for others.
MAX_JOINED = 3


def join_neighbours(hits: Sequence[Hit], read_text: Callable[[str, int, int], str]) -> list[Hit]:
    """Join hits that are neighbours in a section; each takes the place, the score and the id of its best passage.

    Args:
        hits: best first.
        read_text: returns a document's text from start to end.
    """
    ranks = {hit.chunk.chunk_id: rank for rank, hit in enumerate(hits)}
    joined: list[Hit] = []
    for group in _group(hits):
        best = min(group, key=lambda hit: ranks[hit.chunk.chunk_id])
        joined.append(best if len(group) == 1 else _join(best, group, read_text))
    return sorted(joined, key=lambda hit: ranks[hit.chunk.chunk_id])


def _group(hits: Sequence[Hit]) -> list[list[Hit]]:
    """Return runs of neighbours, each in the order of the text."""
    groups: list[list[Hit]] = []
    for hit in sorted(hits, key=lambda hit: (hit.chunk.document, hit.chunk.start)):
        last = groups[-1] if groups else []
        if last and len(last) < MAX_JOINED and _follows(hit.chunk, last[-1].chunk):
            last.append(hit)
        else:
            groups.append([hit])
    return groups


def _follows(chunk: Chunk, before: Chunk) -> bool:
    # A citation names one page.
    is_beside = (chunk.document, chunk.number) == (before.document, before.number + 1)
    return is_beside and (chunk.section, chunk.page) == (before.section, before.page)


def _join(best: Hit, group: Sequence[Hit], read_text: Callable[[str, int, int], str]) -> Hit:
    first, last = group[0].chunk, group[-1].chunk
    chunk = replace(
        first,
        chunk_id=best.chunk.chunk_id,
        text=read_text(first.document, first.start, last.end),
        end=last.end,
        sentences=tuple(
            (hit.chunk.start - first.start + start, hit.chunk.start - first.start + end)
            for hit in group
            for start, end in hit.chunk.sentences
        ),
    )
    return Hit(chunk, best.score, tuple(cosine for hit in group for cosine in hit.cosines))
