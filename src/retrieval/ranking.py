"""How two rankings become one, and the one becomes what is shown: pure functions, in the order of their use.

1. `fuse` adds up what a chunk, its nearest sentence and its words say. The sum is comparable between questions, so it
   also tells whether the best chunk answers at all (`src/rag/relevance.py`).
2. `lift_by_similar`: a chunk that is like several good ones is likely good (Diaz, Regularizing ad hoc retrieval scores,
   CIKM 2005).
3. `drop_repeats`: a chunk that says what a better one says is not worth a place.
4. `to_passages` makes the best chunks long enough to be read alone, by the chunks that stand beside them.

What each brings is in `docs/decisions/0006-sentence-evidence.md`. Sentence embeddings are int8 rows, 127 times unit
norm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from src.records import Chunk, Hit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# What the words add at most, beside two cosines.
LEXICAL_WEIGHT = 0.65
# A question whose best chunk has less BM25 than this shares few words with the documents: its words count less.
STRONG_BM25 = 20.0
LIFT = 0.7
SIMILAR = 12
# A repeat shares this much of its sentences with a better chunk.
REPEATED = 0.9
# Of fewer sentences it needs the headings to tell what they are about: "The notice is four weeks."
MIN_SENTENCES = 3
# A passage takes in the chunks beside it, one on each side, while it has no more words than this.
MAX_PASSAGE_WORDS = 220


@dataclass(frozen=True, slots=True)
class ScoredId:
    """A chunk's id and how well it fits; higher is better, comparable within one ranking."""

    chunk_id: str
    score: float


def fuse(
    dense: Sequence[ScoredId], lexical: Sequence[ScoredId], sentences: Mapping[str, float] | None = None
) -> list[ScoredId]:
    """Merge two rankings, each best first, into one: the chunk's cosine, its nearest sentence's, and its words.

    Args:
        dense: cosines; a chunk that is missing there counts as the last one.
        lexical: BM25; a chunk that is missing there has no word in common.
        sentences: the cosine of each chunk's nearest sentence, by chunk id; without one the chunk's own counts twice.
    """
    cosines = {scored.chunk_id: scored.score for scored in dense}
    floor = dense[-1].score if dense else 0.0
    strongest = max(STRONG_BM25, lexical[0].score) if lexical else STRONG_BM25
    words = {scored.chunk_id: LEXICAL_WEIGHT * scored.score / strongest for scored in lexical}
    scores: dict[str, float] = {}
    for chunk_id in dict.fromkeys([*cosines, *words]):
        cosine = cosines.get(chunk_id, floor)
        nearest = cosine if sentences is None else sentences.get(chunk_id, cosine)
        scores[chunk_id] = cosine + nearest + words.get(chunk_id, 0.0)
    return _ranked(scores)


def find_nearest(sentences: Mapping[str, NDArray[np.int8]], question: NDArray[np.float32]) -> dict[str, float]:
    """Return the cosine of each chunk's nearest sentence, 0 where that is negative.

    Args:
        sentences: the sentences' embeddings, none empty, by chunk id.
        question: (dimension,), norm 1.
    """
    import numpy as np

    if not sentences:
        return {}
    rows, starts = _stack(sentences)
    nearest = np.maximum(np.maximum.reduceat(rows @ question / 127, starts), 0.0)
    return dict(zip(sentences, nearest.tolist(), strict=True))


def lift_by_similar(ranking: Sequence[ScoredId], sentences: Mapping[str, NDArray[np.int8]]) -> list[ScoredId]:
    """Lift each chunk towards the mean score of those most similar to it, where that is higher; none is lowered.

    Args:
        sentences: the sentences' embeddings, none empty, by chunk id; chunks that are not there stay as they are.
    """
    import numpy as np

    scores = {scored.chunk_id: scored.score for scored in ranking}
    ids = [chunk_id for chunk_id in sentences if chunk_id in scores]
    count = min(SIMILAR, len(ids) - 1)
    if count < 1:
        return list(ranking)
    rows, starts = _stack({chunk_id: sentences[chunk_id] for chunk_id in ids})
    sums = np.add.reduceat(rows, starts)
    units = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
    likeness = np.maximum(units @ units.T, 0.0)
    np.fill_diagonal(likeness, 0.0)
    least = np.partition(likeness, -count, axis=1)[:, -count, None]
    likeness[likeness < least] = 0.0
    values = np.array([scores[chunk_id] for chunk_id in ids])
    means = likeness @ values / np.maximum(likeness.sum(axis=1), 1e-9)
    lifted = values + LIFT * np.maximum(0.0, means - values)
    return _ranked(scores | dict(zip(ids, lifted.tolist(), strict=True)))


def drop_repeats(
    ranking: Sequence[ScoredId],
    sentences: Mapping[str, NDArray[np.int8]],
    get_headings: Callable[[Sequence[str]], Mapping[str, tuple[str, str]]],
) -> list[ScoredId]:
    """Leave out each chunk nearly all of whose sentences stand in a better one, as in copies of a document.

    The same sentence has the same embedding, bit by bit, and another number in it gives another one.

    Args:
        sentences: the sentences' embeddings, by chunk id; chunks that are not there stay.
        get_headings: returns title and section by chunk id; asked only where a short chunk may be a repeat.
    """
    kept: list[ScoredId] = []
    holders: dict[bytes, list[str]] = {}
    headings: Mapping[str, tuple[str, str]] | None = None
    for scored in ranking:
        chunk_id = scored.chunk_id
        own = _to_keys(sentences[chunk_id]) if chunk_id in sentences else set()
        repeated = _find_holders(own, holders)
        if repeated and len(own) < MIN_SENTENCES:
            headings = get_headings(list(sentences)) if headings is None else headings
            repeated = [holder for holder in repeated if headings[holder] == headings[chunk_id]]
        if not repeated:
            kept.append(scored)
            for row in own:
                holders.setdefault(row, []).append(chunk_id)
    return kept


def measure_cosines(rows: NDArray[np.int8], question: NDArray[np.float32]) -> tuple[float, ...]:
    """Return each sentence's cosine with the question.

    Args:
        rows: (sentences, dimension).
        question: (dimension,), norm 1.
    """
    return tuple((rows.astype(question.dtype) @ question / 127).tolist())


def to_passages(
    hits: Sequence[Hit], beside: Mapping[str, Hit], limit: int, read_text: Callable[[str, int, int], str]
) -> list[Hit]:
    """Make passages of the best chunks: a short one takes in those beside it in its section, on its page.

    The chunk after it comes first, because a text explains itself as it goes on. Nothing is in two passages.

    Args:
        hits: best first.
        beside: what may be taken in, by chunk id; their scores do not matter.
        read_text: returns a document's text from start to end.
    """
    passages: list[Hit] = []
    taken: set[str] = set()
    for hit in hits:
        if hit.chunk.chunk_id in taken or len(passages) == limit:
            continue
        run = [hit]
        room = MAX_PASSAGE_WORDS - len(hit.chunk.text.split())
        for step in (1, -1):
            edge = run[-1 if step > 0 else 0].chunk
            other = beside.get(f"{edge.document}#{edge.number + step}")
            if other and other.chunk.chunk_id not in taken and _continues(edge, other.chunk):
                words = len(other.chunk.text.split())
                if words <= room:
                    run = [*run, other] if step > 0 else [other, *run]
                    room -= words
        taken.update(part.chunk.chunk_id for part in run)
        passages.append(_join(hit, run, read_text))
    return passages


def _continues(chunk: Chunk, other: Chunk) -> bool:
    # A citation names one page.
    return (chunk.section, chunk.page) == (other.section, other.page)


def _join(best: Hit, run: Sequence[Hit], read_text: Callable[[str, int, int], str]) -> Hit:
    if len(run) == 1:
        return best
    first, last = run[0].chunk, run[-1].chunk
    chunk = replace(
        best.chunk,
        text=read_text(first.document, first.start, last.end),
        start=first.start,
        end=last.end,
        lead=first.lead,
        sentences=tuple(
            (part.chunk.start - first.start + start, part.chunk.start - first.start + end)
            for part in run
            for start, end in part.chunk.sentences
        ),
    )
    return Hit(chunk, best.score, tuple(cosine for part in run for cosine in part.cosines))


def _find_holders(own: set[bytes], holders: Mapping[bytes, Sequence[str]]) -> list[str]:
    """Return the chunks that hold nearly all of these sentences."""
    shared = own & holders.keys()
    if not shared:  # a Counter of nothing costs 2 µs, and a search asks a hundred times
        return []
    counts = Counter(holder for row in shared for holder in holders[row])
    return [holder for holder, count in counts.items() if count >= REPEATED * len(own)]


def _to_keys(rows: NDArray[np.int8]) -> set[bytes]:
    held, width = rows.tobytes(), rows.shape[1]
    return {held[at : at + width] for at in range(0, len(held), width)}


def _stack(sentences: Mapping[str, NDArray[np.int8]]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return all rows as one array, and where each chunk's begin."""
    import numpy as np

    counts = [len(rows) for rows in sentences.values()]
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    return np.concatenate(list(sentences.values())).astype(np.float32), starts


def _ranked(scores: Mapping[str, float]) -> list[ScoredId]:
    """Order by score; ties keep the order they have."""
    return [ScoredId(chunk_id, scores[chunk_id]) for chunk_id in sorted(scores, key=scores.__getitem__, reverse=True)]
