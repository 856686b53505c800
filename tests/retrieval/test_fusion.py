"""Score fusion, against the formula by hand."""

import pytest

from src.retrieval.fusion import DENSE_SHARE, ScoredId, fuse

WORD_SHARE = 1 - DENSE_SHARE


def scored(**scores: float) -> list[ScoredId]:
    return [ScoredId(chunk_id, score) for chunk_id, score in scores.items()]


def test_fusion_follows_the_formula_by_hand() -> None:
    """One share of (cosine - last) / (first - last), the other of BM25 / best."""
    fused = fuse(scored(a=0.9, b=0.7, c=0.5), scored(c=8.0, b=6.0, d=4.0))
    expected = {"b": DENSE_SHARE * 0.5 + WORD_SHARE * 0.75, "a": DENSE_SHARE, "c": WORD_SHARE, "d": WORD_SHARE * 0.5}
    assert {item.chunk_id: item.score for item in fused} == pytest.approx(expected)
    assert [item.chunk_id for item in fused] == sorted(expected, key=expected.__getitem__, reverse=True)


def test_one_ranking_alone_keeps_its_order() -> None:
    """Without words in common, meaning decides, and the other way round."""
    ranking = scored(a=0.9, b=0.7, c=0.5)
    assert [item.chunk_id for item in fuse(ranking, [])] == ["a", "b", "c"]
    assert [item.chunk_id for item in fuse([], ranking)] == ["a", "b", "c"]
    assert fuse([], []) == []


def test_only_candidate_counts_fully() -> None:
    """One passage that shares a word is not worth less for being the only one."""
    assert fuse(scored(a=0.4), scored(b=1e-6)) == [ScoredId("a", DENSE_SHARE), ScoredId("b", WORD_SHARE)]


def test_equal_scores_do_not_divide_by_zero() -> None:
    """Passages with the same text have the same cosine."""
    assert [item.score for item in fuse(scored(a=0.4, b=0.4), [])] == [DENSE_SHARE, DENSE_SHARE]


def test_negative_cosines_are_ranked() -> None:
    """A cosine may be below zero."""
    assert [item.chunk_id for item in fuse(scored(a=-0.1, b=-0.3), [])] == ["a", "b"]
    assert fuse(scored(a=-0.1), []) == [ScoredId("a", DENSE_SHARE)]
