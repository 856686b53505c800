"""Which terms a question is searched by."""

import math
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.records import Document, Filters
from src.retrieval import lexical_index
from src.retrieval.lexical_index import (
    COLUMN_WEIGHTS,
    MAX_KNOWN,
    MAX_TERMS,
    MIN_SCORED,
    LexicalIndex,
    Term,
    choose_terms,
    find_known_words,
    read_terms,
)
from src.retrieval.text_store import TextStore
from tests.fakes import cut_chunk
from tests.retrieval.corpus import write_texts

CHUNKS = 10_000
PARAGRAPH = [Term(f"word{number}", 1, 50 * number) for number in range(1, 100)]


def count_scored(asked: list[Term], chunks: int = CHUNKS, enough: int = 100) -> int:
    required = choose_terms(asked, chunks, enough).required
    return sum(term.chunks for term in asked if required is None or term.text in required)


def test_paragraph_asks_for_a_bounded_number_of_terms_and_chunks() -> None:
    """What a question costs does not grow with its length."""
    assert len(set(choose_terms(PARAGRAPH, CHUNKS, 100).weighed)) <= MAX_TERMS
    assert 100 <= count_scored(PARAGRAPH) <= MIN_SCORED
    assert count_scored(PARAGRAPH, 50_000) == 4_550  # a tenth at most: the 13 rarest, of 50, 100, … 650 chunks


def test_short_question_is_asked_whole() -> None:
    """Where little is to be scored, nothing is left out."""
    choice = choose_terms(PARAGRAPH[:5], CHUNKS, 100)
    assert sorted(choice.weighed) == sorted(word.text for word in PARAGRAPH[:5])
    assert choice.required is None


def test_rare_word_is_required_before_common_one() -> None:
    """A chunk with only common words is not scored when there are enough others."""
    asked = [Term("common", 1, 5_000), Term("rare", 1, 400)]
    assert choose_terms(asked, CHUNKS, 100).required == ("rare",)


def test_word_asked_for_often_is_kept_over_a_rarer_one() -> None:
    """What a long question keeps coming back to is what it is about."""
    theme = Term("theme", 5, 2_000)
    assert "theme" in choose_terms([*PARAGRAPH, theme], CHUNKS, 100).weighed
    assert "theme" not in choose_terms([*PARAGRAPH, Term("theme", 1, 2_000)], CHUNKS, 100).weighed
    assert choose_terms([theme], CHUNKS, 100).weighed == ("theme",) * 5


def test_lone_rare_word_does_not_starve_the_ranking() -> None:
    """One odd word in a question about a common thing must not leave a single chunk."""
    asked = [Term("quokka", 1, 1), Term("company", 1, 3_000), Term("policy", 1, 2_500)]
    assert count_scored(asked, enough=100) >= 100


def test_budget_and_what_is_enough_may_be_used_up() -> None:
    """1,000 chunks in two words are neither too many nor too few."""
    asked = [Term("six", 1, 600), Term("four", 1, 400), Term("thirty", 1, 3_000)]
    assert choose_terms(asked, CHUNKS, 1_000).required == ("four", "six")
    assert choose_terms(asked, CHUNKS, 1_001).required is None


def test_rarity_is_that_of_fts5() -> None:
    """log((N - n + .5) / (n + .5)), and next to nothing for a word that half of the chunks hold."""
    assert lexical_index._idf(Term("a", 1, 2), 10) == pytest.approx(math.log(8.5 / 2.5))
    assert [lexical_index._idf(Term("a", 1, held), 10) for held in (5, 9)] == pytest.approx([1e-6, 1e-6])


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("the port", {("port", 1, 1)}),
        ("Reimbursed? Reimbursed, travel!", {("reimbursed", 2, 2), ("travel", 1, 1)}),
        ("max_requests", {("max", 1, 1), ("requests", 1, 1), ("max requests", 1, 1)}),
        ("on-call", {("call", 1, 1), ("on call", 1, 1)}),
        ("is the", {("is", 1, 1), ("the", 1, 2)}),
        ("is xylophone", set()),
    ],
)
def test_question_is_cut_into_terms(texts: TextStore, query: str, terms: set[tuple[str, int, int]]) -> None:
    """Stop words count where there is nothing else; joined tokens are asked for one by one and side by side."""
    assert {(term.text, term.times, term.chunks) for term in read_terms(texts, query)} == terms


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TextStore]:
    """300 chunks on 30 topics, half of their words as frequent as in a language (Zipf); a search may score 60."""
    monkeypatch.setattr(lexical_index, "MIN_SCORED", 60)
    rng = random.Random(7)
    words, weights = [f"w{n}x" for n in range(1, 2000)], [1 / n for n in range(1, 2000)]
    topics = [rng.sample(words[100:], 30) for _ in range(30)]
    texts = [" ".join(rng.choices(words, weights, k=30) + rng.choices(topics[n % 30], k=30)) for n in range(300)]
    documents = [Document(f"{number}.md", "", text, "x") for number, text in enumerate(texts)]
    chunks = [cut_chunk(document) for document in documents]
    write_texts(tmp_path / "s", documents, chunks)
    store = TextStore.open(tmp_path / "s")
    yield store
    store.close()


def words_of(store: TextStore, number: int) -> list[str]:
    return store.get_chunks_of(f"{number}.md")[0].text.split()


def test_long_question_ranks_first_what_all_its_words_do(large: TextStore) -> None:
    """Scoring few chunks saves work, not answers: of BM25's first five over everything, 19 in 20 are found."""
    index = LexicalIndex(large)
    found = 0
    for number in range(40):
        words = words_of(large, number)[15:45]
        everything = large.query(
            "SELECT c.chunk_id FROM passages p JOIN chunks c ON c.id = p.rowid WHERE passages MATCH ? "
            "ORDER BY bm25(passages, ?, ?, ?) LIMIT 5",
            (" OR ".join(words), *COLUMN_WEIGHTS),
        )
        hits = index.search(" ".join(words), 20, Filters())
        found += len({scored.chunk_id for scored in hits[:5]} & {chunk_id for (chunk_id,) in everything})
    assert found >= 0.95 * 5 * 40


def test_filtered_question_finds_the_document_by_its_common_words(large: TextStore) -> None:
    """The weightiest words may be in other documents only; the one asked for is still found."""
    here, elsewhere = words_of(large, 0), words_of(large, 1)
    assert "w1x" in here
    query = " ".join(["w1x", *(word for word in elsewhere if word not in here)])
    hits = LexicalIndex(large).search(query, 5, Filters(("0.md",)))
    assert [scored.chunk_id for scored in hits] == ["0.md#0"]


@pytest.mark.parametrize(
    ("word", "known"),
    [
        ("reimburse", ["reimbursed"]),
        ("maxrequests", ["max requests"]),
        ("sett", ["setting", "settings"]),
        ("holidai", []),
        ("porta", []),
        ("set", []),
        ("2526", []),
    ],
)
def test_unknown_word_brings_known_ones(texts: TextStore, word: str, known: list[str]) -> None:
    """Two of two letters and more written as one, or words that begin so; short ones and numbers bring anything."""
    assert find_known_words(texts, word) == known


def test_beginning_brings_the_most_frequent_words(tmp_path: Path) -> None:
    """Three at most, then by the alphabet."""
    texts = ["rentals rented renting", "rented renter", "rents"]
    documents = [Document(f"{number}.md", "", text, "x") for number, text in enumerate(texts)]
    write_texts(tmp_path / "s", documents, [cut_chunk(document) for document in documents])
    store = TextStore.open(tmp_path / "s")
    assert find_known_words(store, "rent") == ["rented", "rentals", "renter"][:MAX_KNOWN]
    store.close()
