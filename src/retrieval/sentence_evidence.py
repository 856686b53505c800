"""What the sentences of the best candidates say about them, from embeddings that the build has stored.

A long passage may answer with one sentence, which its own embedding hides among the others; a passage that is like
several good ones is likely good too (Diaz, Regularizing ad hoc retrieval scores, CIKM 2005); and one that says what a
better one says is not worth a place. The measurements are in `docs/decisions/0006-sentence-evidence.md`. Pure
functions; the rows are int8, 127 times unit-norm ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from src.retrieval.fusion import ScoredId

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SENTENCE_SHARE = 0.5
LIFT = 0.7
NEIGHBOURS = 8
# A repeat shares this much of its sentences with a better passage.
REPEATED = 0.9
# Of fewer sentences it needs the headings to tell what they are about: "The notice is four weeks."
MIN_SENTENCES = 3


def raise_by_sentences(
    dense: Sequence[ScoredId], sentences: Mapping[str, NDArray[np.int8]], question: NDArray[np.float32]
) -> list[ScoredId]:
    """Bring each passage half the way to the cosine of its nearest sentence, where that is nearer than the whole.

    Args:
        dense: best first; a passage of `sentences` that is missing there starts from its last score.
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


def lift_by_neighbours(ranking: Sequence[ScoredId], sentences: Mapping[str, NDArray[np.int8]]) -> list[ScoredId]:
    """Lift each passage towards the mean score of those most like it, where that is higher; none is lowered.

    Args:
        sentences: the sentences' embeddings, none empty, by chunk id; passages that are not there stay as they are.
    """
    import numpy as np

    scores = {scored.chunk_id: scored.score for scored in ranking}
    ids = [chunk_id for chunk_id in sentences if chunk_id in scores]
    neighbours = min(NEIGHBOURS, len(ids) - 1)
    if neighbours < 1:
        return list(ranking)
    rows, starts = _stack({chunk_id: sentences[chunk_id] for chunk_id in ids})
    sums = np.add.reduceat(rows, starts)
    units = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
    likeness = np.maximum(units @ units.T, 0.0)
    np.fill_diagonal(likeness, 0.0)
    least = np.partition(likeness, -neighbours, axis=1)[:, -neighbours, None]
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
    """Leave out each passage nearly all of whose sentences stand in a better one, as in copies of a document.

    The same sentence has the same embedding, bit by bit, and another number in it gives another one.

    Args:
        sentences: the sentences' embeddings, by chunk id; passages that are not there stay.
        get_headings: returns title and section by chunk id; asked only where a short passage may be a repeat.
    """
    kept: list[ScoredId] = []
    holders: dict[bytes, list[str]] = {}
    headings: Mapping[str, tuple[str, str]] | None = None
    for scored in ranking:
        chunk_id = scored.chunk_id
        own = _to_keys(sentences[chunk_id]) if chunk_id in sentences else set()
        known = own & holders.keys()
        if known and len(known) >= REPEATED * len(own):
            shared = Counter(holder for row in known for holder in holders[row])
            repeated = [holder for holder, count in shared.items() if count >= REPEATED * len(own)]
            if repeated and len(own) < MIN_SENTENCES:
                headings = get_headings(list(sentences)) if headings is None else headings
                repeated = [holder for holder in repeated if headings[holder] == headings[chunk_id]]
            if repeated:
                continue
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


def _to_keys(rows: NDArray[np.int8]) -> set[bytes]:
    held, width = rows.tobytes(), rows.shape[1]
    return {held[at : at + width] for at in range(0, len(held), width)}


def _stack(sentences: Mapping[str, NDArray[np.int8]]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return all rows as one array, and where each passage's begin."""
    import numpy as np

    counts = [len(rows) for rows in sentences.values()]
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    return np.concatenate(list(sentences.values())).astype(np.float32), starts


def _ranked(scores: Mapping[str, float]) -> list[ScoredId]:
    """Order by score; ties keep the order they have."""
    return [ScoredId(chunk_id, scores[chunk_id]) for chunk_id in sorted(scores, key=scores.__getitem__, reverse=True)]
