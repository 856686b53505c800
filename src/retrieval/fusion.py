"""Scored ids, and how the ranking by meaning and the one by words become one.

Scores, not ranks, are fused: a passage that wins by far in one ranking keeps its lead. The measurements that led here
are in `docs/decisions/0002-hybrid-retrieval.md`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

DENSE_SHARE = 0.55  # of the fused score; the words have the rest


@dataclass(frozen=True, slots=True)
class ScoredId:
    """A passage's id and how well it fits; higher is better, comparable within one ranking."""

    chunk_id: str
    score: float


def fuse(dense: Sequence[ScoredId], lexical: Sequence[ScoredId]) -> list[ScoredId]:
    """Merge two rankings, each best first, into one with scores from 0 to 1.

    Cosines are spread from 0 (the last candidate) to 1 (the first), since they lie close together. BM25 is divided
    by the best, since its 0 has a meaning: no word in common. Missing from a ranking counts 0 there; ties go to the
    nearer in meaning.
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
    return [ScoredId(chunk_id, scores[chunk_id]) for chunk_id in sorted(scores, key=scores.__getitem__, reverse=True)]
