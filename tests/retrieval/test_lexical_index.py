"""Ranking by words, on corpora made by hand."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.records import Document, Filters
from src.retrieval.lexical_index import LexicalIndex
from src.retrieval.text_store import TextStore
from tests.fakes import cut_chunk
from tests.retrieval.corpus import DOCUMENTS, write_texts

EVERYTHING = Filters()


@pytest.fixture
def index(texts: TextStore) -> LexicalIndex:
    return LexicalIndex(texts)


def test_words_before_a_list_find_what_stands_in_it(tmp_path: Path) -> None:
    """They are searched with the chunk, which has words of its own."""
    chunks = [
        replace(cut_chunk(document), lead=lead) for document, lead in zip(DOCUMENTS, ("These lapse:", ""), strict=False)
    ]
    write_texts(tmp_path / "texts", DOCUMENTS[:2], chunks)
    with closing(TextStore.open(tmp_path / "texts")) as texts:
        found = [documents_of(LexicalIndex(texts), word) for word in ("these", "holiday", "pager")]
    assert found == [["leave.md"], ["leave.md"], ["on-call.md"]]


def documents_of(index: LexicalIndex, query: str, filters: Filters = EVERYTHING) -> list[str]:
    return [scored.chunk_id.split("#")[0] for scored in index.search(query, 10, filters)]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("max_requests", "server.md"),
        ("MaxRequests", "server.md"),
        ("maxrequests?", "server.md"),
        ("on-call", "on-call.md"),
        ("oncall", "on-call.md"),
        ("What is the port? 8000", "server.md"),
        ("reimbursing nights", "on-call.md"),
        ("engin", "on-call.md"),
        ("duty", "on-call.md"),
    ],
)
def test_word_in_any_spelling_finds_its_chunk(index: LexicalIndex, query: str, first: str) -> None:
    """Identifiers, hyphens, numbers, word endings, typing mistakes, beginnings of words, words of the title."""
    assert documents_of(index, query)[0] == first


def test_words_nobody_wrote_find_nothing(index: LexicalIndex) -> None:
    """No guess is better than a wild one."""
    assert documents_of(index, "xylophone quartz") == []
    assert documents_of(index, "") == []
    assert documents_of(index, "?!*") == []


def test_filter_narrows_before_the_limit(index: LexicalIndex) -> None:
    """A filtered search is not cut by better chunks of other documents."""
    narrowed = Filters(("travel/rail trip.md",))
    assert documents_of(index, "on-call reimbursed", narrowed) == ["travel/rail trip.md"]
    assert [s.chunk_id for s in index.search("on-call reimbursed", 1, narrowed)] == ["travel/rail trip.md#0"]
    assert documents_of(index, "reimbursed", Filters(("nobody's.md",))) == []


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.text(max_size=200) | st.text(alphabet='"*()^:{}+-_ANDORT NEAR/,0aé\0', max_size=60))
def test_no_text_breaks_a_search(index: LexicalIndex, query: str) -> None:
    """Whatever a person types is a question, never a syntax error."""
    index.search(query, 5, EVERYTHING)
    index.search(query, 5, Filters(("leave.md",)))


def test_long_question_is_answered(index: LexicalIndex) -> None:
    """The longest message the service takes stays within FTS5's limits."""
    assert documents_of(index, "max_requests " * 150)[0] == "server.md"
    index.search("a-b-c-d-" * 250, 5, EVERYTHING)


def test_rare_word_outweighs_common_and_short_chunk_outweighs_long(tmp_path: Path) -> None:
    """What BM25 is for: rarity and length."""
    texts = ["apple", "apple " + "filler " * 40, "cherry", *(["plum filler"] * 7)]
    documents = [Document(f"{n}.md", "", text, "x") for n, text in enumerate(texts)]
    chunks = [cut_chunk(document) for document in documents]
    write_texts(tmp_path / "s", documents, chunks)
    store = TextStore.open(tmp_path / "s")
    index = LexicalIndex(store)
    assert documents_of(index, "apple") == ["0.md", "1.md"]
    assert documents_of(index, "plum cherry filler")[0] == "2.md"
    store.close()
