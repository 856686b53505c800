"""How two rankings become one, and the one becomes what is shown: pure functions, in the order of their use.

1. `fuse` makes one ranking of the nearest by meaning and the best by words.
2. `raise_by_sentences` looks into the best: a long chunk may answer with one sentence, which its own embedding hides.
3. `lift_by_similar`: a chunk that is like several good ones is likely good (Diaz, Regularizing ad hoc retrieval scores,
   CIKM 2005).
4. `drop_repeats`: a chunk that says what a better one says is not worth a place.
5. `join_adjacent` puts chunks together again that stand beside each other in a document.

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

DENSE_SHARE = 0.55  # of the fused score; the words have the rest
SENTENCE_SHARE = 0.5
LIFT = 0.7
SIMILAR = 8
# A repeat shares this much of its sentences with a better chunk.
REPEATED = 0.9
# Of fewer sentences it needs the headings to tell what they are about: "The notice is four weeks."
MIN_SENTENCES = 3
# Three chunks are about 600 tokens: more would leave an LLM little room for others.
MAX_JOINED = 3


@dataclass(frozen=True, slots=True)
class ScoredId:
    """A chunk's id and how well it fits; higher is better, comparable within one ranking."""

    chunk_id: str
    score: float


def fuse(dense: Sequence[ScoredId], lexical: Sequence[ScoredId]) -> list[ScoredId]:
    """Merge two rankings, each best first, into one with scores from 0 to 1.

    Scores are fused, not ranks: a chunk that wins by far in one ranking keeps its lead. Cosines are spread from 0 (the
    last candidate) to 1 (the first), since they lie close together. BM25 is divided by the best, since its 0 has a
    meaning: no word in common. Missing from a ranking counts 0 there; ties go to the nearer in meaning.
    """
    scores: dict[str, float] = {}
    for ranking, share, floor in (
        (dense, DENSE_SHARE, dense[-1].score if len(dense) > 1 else 0.0),
        (lexical, 1 - DENSE_SHARE, 0.0),
    ):
        spread = ranking[0].score - floor if ranking else 0.0
        for scored in ranking:
            part = (scored.score - floor) / spread if spread > 0 else 1.0
            scores[scored.chunk_id] = scores.get(scored.chunk_id, 0.0) + share * part
    return _ranked(scores)


def raise_by_sentences(
    dense: Sequence[ScoredId], sentences: Mapping[str, NDArray[np.int8]], question: NDArray[np.float32]
) -> list[ScoredId]:
    """Bring each chunk half the way to the cosine of its nearest sentence, where that is nearer than the whole.

    Args:
        dense: best first; a chunk of `sentences` that is missing there starts from its last score.
        sentences: the sentences' embeddings, none empty, by chunk id.
        question: (dimension,), norm 1.
    """
    import numpy as np

    if not sentences:
        return list(dense)
    rows, starts = _stack(sentences)
    nearest = np.maximum.reduceat(rows @ question / 127, starts)
    scores = {scored.chunk_id: scored.score for scored in dense}
    floor = dense[-1].score if dense else 0.0
    for chunk_id, cosine in zip(sentences, nearest.tolist(), strict=True):
        score = scores.get(chunk_id, floor)
        scores[chunk_id] = score + SENTENCE_SHARE * max(0.0, cosine - score)
    return _ranked(scores)


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


def join_adjacent(hits: Sequence[Hit], read_text: Callable[[str, int, int], str]) -> list[Hit]:
    """Join hits that are adjacent in a section; each takes the place, the score and the id of its best chunk.

    Args:
        hits: best first.
        read_text: returns a document's text from start to end.
    """
    ranks = {hit.chunk.chunk_id: rank for rank, hit in enumerate(hits)}
    joined: list[Hit] = []
    for group in _group_adjacent(hits):
        best = min(group, key=lambda hit: ranks[hit.chunk.chunk_id])
        joined.append(best if len(group) == 1 else _join(best, group, read_text))
    return sorted(joined, key=lambda hit: ranks[hit.chunk.chunk_id])


def _group_adjacent(hits: Sequence[Hit]) -> list[list[Hit]]:
    """Return runs of adjacent hits, each in the order of the text."""
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
    is_next = (chunk.document, chunk.number) == (before.document, before.number + 1)
    return is_next and (chunk.section, chunk.page) == (before.section, before.page)


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


def _find_holders(own: set[bytes], holders: Mapping[bytes, Sequence[str]]) -> list[str]:
    """Return the chunks that hold nearly all of these sentences."""
    known = own & holders.keys()
    if not known or len(known) < REPEATED * len(own):
        return []
    shared = Counter(holder for row in known for holder in holders[row])
    return [holder for holder, count in shared.items() if count >= REPEATED * len(own)]


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
