"""What sentences add to a ranking, against the formulas by hand."""

import numpy as np
import pytest

from src.retrieval.fusion import ScoredId
from src.retrieval.sentence_evidence import LIFT, SENTENCE_SHARE, drop_repeats, lift_by_neighbours, raise_by_sentences

QUESTION = np.array([1, 0, 0, 0], np.float32)


def rows(*cosines: float) -> np.ndarray:
    """Sentences at these cosines from the question."""
    return np.rint([[127 * c, 127 * (1 - c * c) ** 0.5, 0, 0] for c in cosines]).astype(np.int8)


def towards(axis: int, count: int = 1) -> np.ndarray:
    return np.repeat(127 * np.eye(4, dtype=np.int8)[axis : axis + 1], count, axis=0)


def scores_of(ranking: list[ScoredId]) -> dict[str, float]:
    return {scored.chunk_id: scored.score for scored in ranking}


def test_nearest_sentence_raises_and_far_sentences_do_not_lower() -> None:
    """Half the way to the best sentence; a passage nearer as a whole keeps its cosine."""
    dense = [ScoredId("whole", 0.7), ScoredId("hidden", 0.5), ScoredId("unread", 0.4)]
    found = raise_by_sentences(dense, {"whole": rows(0.2, 0.6), "hidden": rows(0.1, 0.96)}, QUESTION)
    expected = {"hidden": 0.5 + SENTENCE_SHARE * 0.46, "whole": 0.7, "unread": 0.4}
    assert scores_of(found) == pytest.approx(expected, abs=0.5 / 127)
    assert [scored.chunk_id for scored in found] == ["hidden", "whole", "unread"]


def test_passage_found_by_words_alone_starts_from_the_last_cosine() -> None:
    """It was not among the nearest, so it was no nearer than they are."""
    found = raise_by_sentences([ScoredId("a", 0.6), ScoredId("b", 0.3)], {"words": rows(0.9)}, QUESTION)
    assert scores_of(found)["words"] == pytest.approx(0.3 + SENTENCE_SHARE * 0.6, abs=0.5 / 127)


def test_passage_like_good_ones_is_lifted_and_none_is_lowered() -> None:
    """Part of the way to the mean of its neighbours, weighted by likeness: here 1 and 0."""
    ranking = [ScoredId("good", 0.9), ScoredId("other", 0.5), ScoredId("like good", 0.3)]
    sentences = {"other": towards(1), "like good": towards(0, 2), "good": towards(0)}
    lifted = lift_by_neighbours(ranking, sentences)
    assert scores_of(lifted) == pytest.approx({"good": 0.9, "other": 0.5, "like good": 0.3 + LIFT * (0.9 - 0.3)})
    assert [scored.chunk_id for scored in lifted] == ["good", "like good", "other"]


def test_best_passage_stays_best() -> None:
    """A mean of lower scores lifts nobody above the first."""
    generator = np.random.default_rng(1)
    ranking = [ScoredId(str(n), 1 - n / 40) for n in range(40)]
    sentences = {str(n): generator.integers(-127, 127, (1 + n % 5, 4)).astype(np.int8) for n in range(30)}
    lifted = lift_by_neighbours(ranking, sentences)
    before, after = scores_of(ranking), scores_of(lifted)
    assert lifted[0].chunk_id == "0"
    assert all(before[key] <= after[key] <= 1 for key in before)


def test_passages_without_sentences_change_nothing() -> None:
    """Headings alone have none, and there may be no candidate at all."""
    ranking = [ScoredId("a", 0.9), ScoredId("b", 0.5)]
    assert raise_by_sentences(ranking, {}, QUESTION) == ranking
    assert lift_by_neighbours(ranking, {}) == ranking
    assert lift_by_neighbours(ranking, {"a": towards(0)}) == ranking
    assert lift_by_neighbours([], {}) == []
    assert raise_by_sentences([], {"a": rows(1.0)}, QUESTION)[0].score == pytest.approx(SENTENCE_SHARE)


def different(count: int, seed: int = 0) -> np.ndarray:
    """Sentences of which no two are the same."""
    return np.random.default_rng(seed).integers(-127, 127, (count, 4)).astype(np.int8)


def keep(sentences: dict[str, np.ndarray], headings: dict[str, tuple[str, str]] | None = None) -> list[str]:
    """Which passages stay, ranked in the order given."""
    ranking = [ScoredId(chunk_id, 1 - n / 10) for n, chunk_id in enumerate(sentences)]
    kept = drop_repeats(ranking, sentences, lambda ids: {chunk_id: (headings or {})[chunk_id] for chunk_id in ids})
    return [scored.chunk_id for scored in kept]


def test_copy_of_a_better_passage_is_left_out() -> None:
    """Whole, or with one sentence in ten changed, or a part of it; what says anything else stays."""
    ten = different(10)
    changed = np.concatenate([ten[:9], different(1, seed=1)])
    two_changed = np.concatenate([ten[:8], different(2, seed=2)])
    passages = {"best": ten, "copy": ten[::-1], "changed": changed, "part": ten[3:7], "newer": two_changed}
    assert keep({**passages, "other": different(5, seed=3)}) == ["best", "newer", "other"]


def test_longer_passage_stays_beside_the_part_that_is_ranked_above_it() -> None:
    """It holds more than the better one."""
    ten = different(10)
    assert keep({"part": ten[:4], "whole": ten}) == ["part", "whole"]


def test_short_passage_is_a_copy_only_under_the_same_headings() -> None:
    """ "The notice is four weeks." under another heading is another fact."""
    sentence = different(1)
    passages = {"a": sentence, "copy of a": sentence, "b": sentence}
    headings = {"a": ("Leave", "Germany"), "copy of a": ("Leave", "Germany"), "b": ("Leave", "France")}
    assert keep(passages, headings) == ["a", "b"]


def test_passages_without_sentences_are_no_copies() -> None:
    """Nothing is known of what they say."""
    ranking = [ScoredId("a", 0.9), ScoredId("b", 0.5)]
    assert drop_repeats(ranking, {}, lambda _: {}) == ranking
