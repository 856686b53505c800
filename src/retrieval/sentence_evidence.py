"""What the sentences of the best candidates say about them, from embeddings that the build has stored.

A long passage may answer with one sentence, which its own embedding hides among the others; and a passage that is like
several good ones is likely good too (Diaz, Regularizing ad hoc retrieval scores, CIKM 2005). The measurements are in
`docs/decisions/0006-sentence-evidence.md`. Pure functions; the rows are int8, 127 times unit-norm ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from src.retrieval.fusion import ScoredId

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SENTENCE_SHARE = 0.5
LIFT = 0.7
NEIGHBOURS = 8


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


def _stack(sentences: Mapping[str, NDArray[np.int8]]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return all rows as one array, and where each passage's begin."""
    import numpy as np

    counts = [len(rows) for rows in sentences.values()]
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    return np.concatenate(list(sentences.values())).astype(np.float32), starts


def _ranked(scores: Mapping[str, float]) -> list[ScoredId]:
    """Order by score; ties keep the order they have."""
    return [ScoredId(chunk_id, scores[chunk_id]) for chunk_id in sorted(scores, key=scores.__getitem__, reverse=True)]
