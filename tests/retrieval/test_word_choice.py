"""Which words of a question are asked for."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.records import Document, Filters
from src.retrieval import word_choice
from src.retrieval.lexical_index import COLUMN_WEIGHTS, LexicalIndex
from src.retrieval.text_store import TextStore, create_text_store
from src.retrieval.word_choice import MAX_WORDS, MIN_LOOKED_AT, AskedWord, choose_words
from tests.fakes import cut_chunk, sentence_embeddings

PASSAGES = 10_000
PARAGRAPH = [AskedWord(f"word{number}", 1, 50 * number) for number in range(1, 100)]


def looked_at(asked: list[AskedWord], passages: int = PASSAGES, enough: int = 100) -> int:
    sought = choose_words(asked, passages, enough).sought
    return sum(word.passages for word in asked if sought is None or word.text in sought)


def test_paragraph_asks_for_a_bounded_number_of_words_and_passages() -> None:
    """What a question costs does not grow with its length."""
    assert len(set(choose_words(PARAGRAPH, PASSAGES, 100).weighed)) <= MAX_WORDS
    assert 100 <= looked_at(PARAGRAPH) <= MIN_LOOKED_AT
    assert looked_at(PARAGRAPH, 50_000) <= 5_000


def test_short_question_is_asked_whole() -> None:
    """Where little is to be looked at, nothing is left out."""
    choice = choose_words(PARAGRAPH[:5], PASSAGES, 100)
    assert sorted(choice.weighed) == sorted(word.text for word in PARAGRAPH[:5])
    assert choice.sought is None


def test_rare_word_is_sought_before_common_one() -> None:
    """A passage with only common words is not looked at when there are enough others."""
    asked = [AskedWord("common", 1, 5_000), AskedWord("rare", 1, 400)]
    assert choose_words(asked, PASSAGES, 100).sought == ("rare",)


def test_word_asked_for_often_is_kept_over_a_rarer_one() -> None:
    """What a long question keeps coming back to is what it is about."""
    theme = AskedWord("theme", 5, 2_000)
    assert "theme" in choose_words([*PARAGRAPH, theme], PASSAGES, 100).weighed
    assert "theme" not in choose_words([*PARAGRAPH, AskedWord("theme", 1, 2_000)], PASSAGES, 100).weighed
    assert choose_words([theme], PASSAGES, 100).weighed == ("theme",) * 5


def test_lone_rare_word_does_not_starve_the_ranking() -> None:
    """One odd word in a question about a common thing must not leave a single passage."""
    asked = [AskedWord("quokka", 1, 1), AskedWord("company", 1, 3_000), AskedWord("policy", 1, 2_500)]
    assert looked_at(asked, enough=100) >= 100


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TextStore]:
    """300 passages on 30 topics, half of their words as frequent as in a language (Zipf); a search may look at 60."""
    monkeypatch.setattr(word_choice, "MIN_LOOKED_AT", 60)
    rng = random.Random(7)
    words, weights = [f"w{n}x" for n in range(1, 2000)], [1 / n for n in range(1, 2000)]
    topics = [rng.sample(words[100:], 30) for _ in range(30)]
    texts = [" ".join(rng.choices(words, weights, k=30) + rng.choices(topics[n % 30], k=30)) for n in range(300)]
    documents = [Document(f"{number}.md", "", text, "x") for number, text in enumerate(texts)]
    chunks = [cut_chunk(document) for document in documents]
    create_text_store(tmp_path / "s", documents, ((chunk, sentence_embeddings(chunk)) for chunk in chunks))
    store = TextStore.open(tmp_path / "s")
    yield store
    store.close()


def words_of(store: TextStore, number: int) -> list[str]:
    return store.get_chunks_of(f"{number}.md")[0].text.split()


def test_long_question_ranks_first_what_all_its_words_do(large: TextStore) -> None:
    """Looking at few passages saves work, not answers: of BM25's first five over everything, 19 in 20 are found."""
    index = LexicalIndex(large.database)
    found = 0
    for number in range(40):
        words = words_of(large, number)[15:45]
        everything = large.database.query(
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
    hits = LexicalIndex(large.database).search(query, 5, Filters(("0.md",)))
    assert [scored.chunk_id for scored in hits] == ["0.md#0"]
