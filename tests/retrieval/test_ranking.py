"""How rankings are merged and refined, against the formulas by hand."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from src.records import Hit
from src.retrieval.ranking import (
    LEXICAL_WEIGHT,
    LIFT,
    MAX_PASSAGE_WORDS,
    STRONG_BM25,
    ScoredId,
    drop_repeats,
    find_nearest,
    fuse,
    lift_by_similar,
    measure_cosines,
    to_passages,
)
from tests.fakes import make_chunk


def scored(**scores: float) -> list[ScoredId]:
    return [ScoredId(chunk_id, score) for chunk_id, score in scores.items()]


def scores_of(ranking: Iterable[ScoredId]) -> dict[str, float]:
    return {scored.chunk_id: scored.score for scored in ranking}


def ids(ranking: Iterable[ScoredId]) -> list[str]:
    return [scored.chunk_id for scored in ranking]


DENSE = scored(a=0.9, b=0.7, c=0.5)


def test_fusion_adds_cosines_and_words() -> None:
    """The cosine twice, and .65 of BM25 by 20; what is not among the nearest counts as the last of them."""
    fused = fuse(DENSE, scored(c=8.0, b=6.0, d=4.0))
    expected = {"a": 2 * 0.9, "b": 2 * 0.7 + 0.195, "c": 2 * 0.5 + 0.26, "d": 2 * 0.5 + 0.13}
    assert (LEXICAL_WEIGHT, STRONG_BM25) == (0.65, 20.0)
    assert scores_of(fused) == pytest.approx(expected)
    assert ids(fused) == ["a", "b", "c", "d"]


def test_nearest_sentence_counts_beside_the_chunk() -> None:
    """Each once; a chunk without sentences is its own, and one found by words alone has its sentence too."""
    fused = fuse(DENSE, scored(d=10.0), {"a": 0.2, "b": 0.95, "d": 0.8})
    assert scores_of(fused) == pytest.approx({"a": 1.1, "b": 1.65, "c": 1.0, "d": 0.5 + 0.8 + 0.325})
    assert ids(fused) == ["b", "d", "a", "c"]


def test_words_weigh_the_less_the_fewer_the_question_shares() -> None:
    """Up to a BM25 of 20 the best has its share of the weight, above it all of it, and the others theirs of it."""
    assert scores_of(fuse([], scored(a=10.0))) == pytest.approx({"a": 0.325})
    assert scores_of(fuse([], scored(a=20.0))) == pytest.approx({"a": 0.65})
    assert scores_of(fuse([], scored(a=40.0, b=10.0))) == pytest.approx({"a": 0.65, "b": 0.1625})


def test_one_ranking_alone_keeps_its_order() -> None:
    """Without words in common, meaning decides, and the other way round; equal scores keep their order."""
    assert ids(fuse(DENSE, [])) == ids(fuse([], DENSE)) == ["a", "b", "c"]
    assert ids(fuse(scored(a=0.4, b=0.4), [])) == ["a", "b"]
    assert fuse([], []) == []


def test_negative_cosines_are_ranked() -> None:
    """A cosine may be below zero."""
    assert scores_of(fuse(scored(a=-0.1, b=-0.3), scored(c=20.0))) == pytest.approx({"a": -0.2, "b": -0.6, "c": 0.05})


QUESTION = np.array([1, 0, 0, 0], np.float32)


def rows(*cosines: float) -> np.ndarray:
    """Sentences at these cosines from the question."""
    return np.rint([[127 * c, 127 * (1 - c * c) ** 0.5, 0, 0] for c in cosines]).astype(np.int8)


def towards(axis: int, count: int = 1) -> np.ndarray:
    return np.repeat(127 * np.eye(4, dtype=np.int8)[axis : axis + 1], count, axis=0)


def test_nearest_sentence_is_the_largest_cosine() -> None:
    """Of all its sentences; below zero none is near."""
    nearest = find_nearest({"first": rows(0.2, 0.6, 0.4), "one": rows(0.96), "far": rows(-0.5, -0.1)}, QUESTION)
    assert nearest == pytest.approx({"first": 0.6, "one": 0.96, "far": 0.0}, abs=0.5 / 127)
    assert find_nearest({}, QUESTION) == {}


def test_cosines_are_those_of_each_sentence() -> None:
    """In the order of the sentences, signs kept."""
    assert measure_cosines(rows(0.2, -0.5), QUESTION) == pytest.approx((0.2, -0.5), abs=0.5 / 127)


def test_chunk_like_good_ones_is_lifted_and_none_is_lowered() -> None:
    """Part of the way to the mean of the chunks most similar to it, weighted by likeness: here 1 and 0."""
    ranking = [ScoredId("good", 0.9), ScoredId("other", 0.5), ScoredId("like good", 0.3)]
    sentences = {"other": towards(1), "like good": towards(0, 2), "good": towards(0)}
    lifted = lift_by_similar(ranking, sentences)
    assert scores_of(lifted) == pytest.approx({"good": 0.9, "other": 0.5, "like good": 0.3 + LIFT * (0.9 - 0.3)})
    assert [scored.chunk_id for scored in lifted] == ["good", "like good", "other"]


def test_likeness_weighs_whatever_the_number_of_sentences() -> None:
    """Cosines of 1 and .6 give (.9 + .6 · .5) / 1.6 = .75, and .7 of the way from .1 to it is .555."""
    ranking = scored(a=0.9, b=0.5, c=0.1)
    lifted = lift_by_similar(ranking, {"a": towards(0), "b": np.repeat(rows(0.6), 3, axis=0), "c": towards(0)})
    assert scores_of(lifted) == pytest.approx({"a": 0.9, "b": 0.5, "c": 0.555}, abs=0.005)
    assert scores_of(lift_by_similar(scored(a=0.9, b=0.3), {"a": towards(0), "b": towards(0)})) == pytest.approx(
        {"a": 0.9, "b": 0.3 + LIFT * 0.6}
    )


def test_twelve_most_similar_chunks_lift() -> None:
    """Eleven at .9 and one at .8: (11 · .9 · .5 + .8 · 1.3) / 10.7 = .56, and .7 of that. No other counts."""
    far = {f"far {n}": rows(n / 100) for n in range(40)}
    similar = {str(n): rows(0.9) for n in range(11)} | {"twelfth": rows(0.8)}
    scores = dict.fromkeys(far, 5.0) | dict.fromkeys(similar, 0.5) | {"twelfth": 1.3, "low": 0.0}
    lifted = lift_by_similar(scored(**scores), {"low": towards(0), **far, **similar})
    assert scores_of(lifted)["low"] == pytest.approx(0.392, abs=0.002)


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
    assert lift_by_similar(ranking, {}) == ranking
    assert lift_by_similar(ranking, {"a": towards(0)}) == ranking
    assert lift_by_similar([], {}) == []


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


def test_chunk_of_two_better_ones_stays() -> None:
    """No single one says what it says."""
    ten = different(10)
    assert keep({"first": ten[:5], "second": ten[5:], "both": ten}) == ["first", "second", "both"]


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
    three = different(3)
    assert keep({"a": three, "b": three}) == ["a"]  # these tell what they are about


def test_chunks_without_sentences_are_no_copies() -> None:
    """Nothing is known of what they say."""
    ranking = [ScoredId("a", 0.9), ScoredId("b", 0.5)]
    assert drop_repeats(ranking, {}, lambda _: {}) == ranking


class Text:
    """A document of chunks of so many words, each a sentence; chunk n is about 0.1 n near the question."""

    def __init__(self, *sizes: int) -> None:
        sentences = [" ".join([f"S{number}"] * size) for number, size in enumerate(sizes)]
        self.text = "\n\n".join(sentences)
        self.hits: dict[str, Hit] = {}
        start = 0
        for number, sentence in enumerate(sentences):
            chunk = make_chunk(sentence, document="a.md", number=number, section="S", start=start)
            self.hits[chunk.chunk_id] = Hit(chunk, 0.0, (number / 10,))
            start += len(sentence) + 2

    def place(self, number: int, **place: object) -> None:
        """Say that a chunk stands elsewhere."""
        hit = self.hits[f"a.md#{number}"]
        self.hits[f"a.md#{number}"] = Hit(replace(hit.chunk, **place), hit.score, hit.cosines)  # type: ignore[arg-type]

    def to_passages(self, *best: int, limit: int = 10, beside: "Sequence[int] | None" = None) -> list[Hit]:
        """Make passages of the best chunks; a score tells their rank."""
        hits = [replace(self.hits[f"a.md#{number}"], score=1.0 - rank / 10) for rank, number in enumerate(best)]
        known = {f"a.md#{number}": self.hits[f"a.md#{number}"] for number in beside or range(len(self.hits))}
        return to_passages(hits, known, limit, lambda document, start, end: self.text[start:end])

    def numbers(self, *best: int, limit: int = 10, beside: "Sequence[int] | None" = None) -> list[list[int]]:
        """Return of which chunks each passage is."""
        found = self.to_passages(*best, limit=limit, beside=beside)
        return [list(dict.fromkeys(int(word[1:]) for word in hit.chunk.text.split())) for hit in found]


def test_short_chunk_takes_in_those_beside_it() -> None:
    """One on each side; the text runs on, with all its sentences and their cosines, in the place of the best."""
    text = Text(10, 10, 10, 10, 10)
    (passage,) = text.to_passages(2)
    assert passage.chunk.text == text.text[passage.chunk.start : passage.chunk.end]
    sentences = [passage.chunk.text[start:end] for start, end in passage.chunk.sentences]
    assert sentences == [text.hits[f"a.md#{number}"].chunk.text for number in (1, 2, 3)]
    assert (passage.score, passage.cosines, passage.chunk.chunk_id) == (1.0, (0.1, 0.2, 0.3), "a.md#2")


def test_passage_grows_while_its_words_are_few() -> None:
    """220 words in all; the chunk after it has the first claim, and one that does not fit keeps no other out."""
    assert MAX_PASSAGE_WORDS == 220
    assert Text(60, 100, 60).numbers(1) == [[0, 1, 2]]
    assert Text(61, 100, 60).numbers(1) == [[1, 2]]
    assert Text(60, 100, 121).numbers(1) == [[0, 1]]
    assert Text(10, 220, 10).numbers(1) == [[1]]
    assert Text(10, 300, 10).numbers(1) == [[1]]


def test_no_text_is_in_two_passages() -> None:
    """What a better passage took is neither a passage nor taken again; nor is a better one taken in."""
    text = Text(*[10] * 7)
    assert text.numbers(3, 2, 5, 0) == [[2, 3, 4], [5, 6], [0, 1]]
    assert text.numbers(1, 3, 2) == [[0, 1, 2], [3, 4]]


def test_borders_of_sections_pages_and_documents_hold() -> None:
    """A heading says that another matter begins, a citation names one page, and a text ends."""
    text = Text(*[10] * 4)
    text.place(3, section="T")
    text.place(1, page=2)
    assert text.numbers(2) == [[2]]
    assert text.numbers(0, 3) == [[0], [3]]
    assert Text(10, 10).numbers(1, 0, beside=[1]) == [[1], [0]]


def test_as_many_passages_as_asked_for() -> None:
    """The rest is not looked at."""
    assert Text(*[220] * 4).numbers(3, 1, 0, 2, limit=2) == [[3], [1]]
    assert Text(10).numbers() == []


def test_chunk_alone_stays_as_it_is() -> None:
    """Nothing beside it, nothing joined."""
    text = Text(10)
    assert text.to_passages(0) == [replace(text.hits["a.md#0"], score=1.0)]
