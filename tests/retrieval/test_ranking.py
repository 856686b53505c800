"""How rankings are merged and refined, against the formulas by hand."""

import numpy as np
import pytest

from src.records import Chunk, Hit
from src.retrieval.ranking import (
    DENSE_SHARE,
    LIFT,
    MAX_JOINED,
    SENTENCE_SHARE,
    ScoredId,
    drop_repeats,
    fuse,
    join_adjacent,
    lift_by_similar,
    raise_by_sentences,
)

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
    """One chunk that shares a word is not worth less for being the only one."""
    assert fuse(scored(a=0.4), scored(b=1e-6)) == [ScoredId("a", DENSE_SHARE), ScoredId("b", WORD_SHARE)]


def test_equal_scores_do_not_divide_by_zero() -> None:
    """Chunks with the same text have the same cosine."""
    assert [item.score for item in fuse(scored(a=0.4, b=0.4), [])] == [DENSE_SHARE, DENSE_SHARE]


def test_negative_cosines_are_ranked() -> None:
    """A cosine may be below zero."""
    assert [item.chunk_id for item in fuse(scored(a=-0.1, b=-0.3), [])] == ["a", "b"]
    assert fuse(scored(a=-0.1), []) == [ScoredId("a", DENSE_SHARE)]


QUESTION = np.array([1, 0, 0, 0], np.float32)


def rows(*cosines: float) -> np.ndarray:
    """Sentences at these cosines from the question."""
    return np.rint([[127 * c, 127 * (1 - c * c) ** 0.5, 0, 0] for c in cosines]).astype(np.int8)


def towards(axis: int, count: int = 1) -> np.ndarray:
    return np.repeat(127 * np.eye(4, dtype=np.int8)[axis : axis + 1], count, axis=0)


def scores_of(ranking: list[ScoredId]) -> dict[str, float]:
    return {scored.chunk_id: scored.score for scored in ranking}


def test_nearest_sentence_raises_and_far_sentences_do_not_lower() -> None:
    """Half the way to the best sentence; a chunk nearer as a whole keeps its cosine."""
    dense = [ScoredId("whole", 0.7), ScoredId("hidden", 0.5), ScoredId("unread", 0.4)]
    found = raise_by_sentences(dense, {"whole": rows(0.2, 0.6), "hidden": rows(0.1, 0.96)}, QUESTION)
    expected = {"hidden": 0.5 + SENTENCE_SHARE * 0.46, "whole": 0.7, "unread": 0.4}
    assert scores_of(found) == pytest.approx(expected, abs=0.5 / 127)
    assert [scored.chunk_id for scored in found] == ["hidden", "whole", "unread"]


def test_chunk_found_by_words_alone_starts_from_the_last_cosine() -> None:
    """It was not among the nearest, so it was no nearer than they are."""
    found = raise_by_sentences([ScoredId("a", 0.6), ScoredId("b", 0.3)], {"words": rows(0.9)}, QUESTION)
    assert scores_of(found)["words"] == pytest.approx(0.3 + SENTENCE_SHARE * 0.6, abs=0.5 / 127)


def test_chunk_like_good_ones_is_lifted_and_none_is_lowered() -> None:
    """Part of the way to the mean of the chunks most similar to it, weighted by likeness: here 1 and 0."""
    ranking = [ScoredId("good", 0.9), ScoredId("other", 0.5), ScoredId("like good", 0.3)]
    sentences = {"other": towards(1), "like good": towards(0, 2), "good": towards(0)}
    lifted = lift_by_similar(ranking, sentences)
    assert scores_of(lifted) == pytest.approx({"good": 0.9, "other": 0.5, "like good": 0.3 + LIFT * (0.9 - 0.3)})
    assert [scored.chunk_id for scored in lifted] == ["good", "like good", "other"]


def test_best_chunk_stays_best() -> None:
    """A mean of lower scores lifts nobody above the first."""
    generator = np.random.default_rng(1)
    ranking = [ScoredId(str(n), 1 - n / 40) for n in range(40)]
    sentences = {str(n): generator.integers(-127, 127, (1 + n % 5, 4)).astype(np.int8) for n in range(30)}
    lifted = lift_by_similar(ranking, sentences)
    before, after = scores_of(ranking), scores_of(lifted)
    assert lifted[0].chunk_id == "0"
    assert all(before[key] <= after[key] <= 1 for key in before)


def test_chunks_without_sentences_change_nothing() -> None:
    """Headings alone have none, and there may be no candidate at all."""
    ranking = [ScoredId("a", 0.9), ScoredId("b", 0.5)]
    assert raise_by_sentences(ranking, {}, QUESTION) == ranking
    assert lift_by_similar(ranking, {}) == ranking
    assert lift_by_similar(ranking, {"a": towards(0)}) == ranking
    assert lift_by_similar([], {}) == []
    assert raise_by_sentences([], {"a": rows(1.0)}, QUESTION)[0].score == pytest.approx(SENTENCE_SHARE)


def different(count: int, seed: int = 0) -> np.ndarray:
    """Sentences of which no two are the same."""
    return np.random.default_rng(seed).integers(-127, 127, (count, 4)).astype(np.int8)


def keep(sentences: dict[str, np.ndarray], headings: dict[str, tuple[str, str]] | None = None) -> list[str]:
    """Which chunks stay, ranked in the order given."""
    ranking = [ScoredId(chunk_id, 1 - n / 10) for n, chunk_id in enumerate(sentences)]
    kept = drop_repeats(ranking, sentences, lambda ids: {chunk_id: (headings or {})[chunk_id] for chunk_id in ids})
    return [scored.chunk_id for scored in kept]


def test_copy_of_a_better_chunk_is_left_out() -> None:
    """Whole, or with one sentence in ten changed, or a part of it; what says anything else stays."""
    ten = different(10)
    changed = np.concatenate([ten[:9], different(1, seed=1)])
    two_changed = np.concatenate([ten[:8], different(2, seed=2)])
    chunks = {"best": ten, "copy": ten[::-1], "changed": changed, "part": ten[3:7], "newer": two_changed}
    assert keep({**chunks, "other": different(5, seed=3)}) == ["best", "newer", "other"]


def test_longer_chunk_stays_beside_the_part_that_is_ranked_above_it() -> None:
    """It holds more than the better one."""
    ten = different(10)
    assert keep({"part": ten[:4], "whole": ten}) == ["part", "whole"]


def test_short_chunk_is_a_copy_only_under_the_same_headings() -> None:
    """ "The notice is four weeks." under another heading is another fact."""
    sentence = different(1)
    chunks = {"a": sentence, "copy of a": sentence, "b": sentence}
    headings = {"a": ("Leave", "Germany"), "copy of a": ("Leave", "Germany"), "b": ("Leave", "France")}
    assert keep(chunks, headings) == ["a", "b"]


def test_chunks_without_sentences_are_no_copies() -> None:
    """Nothing is known of what they say."""
    ranking = [ScoredId("a", 0.9), ScoredId("b", 0.5)]
    assert drop_repeats(ranking, {}, lambda _: {}) == ranking


SENTENCES = [f"Sentence number {n} of the text." for n in range(8)]
TEXT = "\n\n".join(SENTENCES)


def read_text(document: str, start: int, end: int) -> str:
    assert document == "a.md"
    return TEXT[start:end]


def make_hit(number: int, score: float, section: str = "S", document: str = "a.md", page: int | None = None) -> Hit:
    """The chunk that is the sentence of this number."""
    start = TEXT.index(SENTENCES[number])
    end = start + len(SENTENCES[number])
    chunk = Chunk(
        f"{document}#{number}", document, "A", section, page, TEXT[start:end], start, end, ((0, end - start),)
    )
    return Hit(chunk, score, (number / 10,))


def ids_of(hits: list[Hit]) -> list[str]:
    return [hit.chunk.chunk_id for hit in hits]


def test_adjacent_chunks_become_one_passage_in_the_place_of_the_better() -> None:
    """Its text is the document's own from the first to the last, its sentences and their cosines are both chunks'."""
    joined = join_adjacent([make_hit(5, 0.9), make_hit(2, 0.8), make_hit(7, 0.7), make_hit(1, 0.6)], read_text)
    assert ids_of(joined) == ["a.md#5", "a.md#2", "a.md#7"]
    both = joined[1]
    assert both.chunk.text == TEXT[both.chunk.start : both.chunk.end] == "\n\n".join(SENTENCES[1:3])
    assert [both.chunk.text[start:end] for start, end in both.chunk.sentences] == SENTENCES[1:3]
    assert (both.score, both.cosines) == (0.8, (0.1, 0.2))


def test_sections_documents_and_pages_keep_apart() -> None:
    """A heading between two chunks says that another matter begins, and a citation names one page."""
    hits = [make_hit(1, 0.9, "S"), make_hit(2, 0.8, "T"), make_hit(3, 0.7, "T", "b.md"), make_hit(5, 0.6, "T", page=1)]
    hits.append(make_hit(6, 0.5, "T", page=2))
    assert join_adjacent(hits, read_text) == hits


def test_no_passage_grows_without_bound() -> None:
    """Eight in a row become passages of three at most."""
    joined = join_adjacent([make_hit(n, 1 - n / 10) for n in range(8)], read_text)
    assert [len(one.chunk.sentences) for one in joined] == [MAX_JOINED, MAX_JOINED, 2]
    assert " ".join(one.chunk.text for one in joined).split() == TEXT.split()
