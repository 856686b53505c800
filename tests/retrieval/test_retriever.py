"""Both searches together, on a real index."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from src.artifacts import Manifest
from src.records import Filters
from src.retrieval.lexical_index import LexicalIndex
from src.retrieval.passage_store import PassageStore
from src.retrieval.retriever import Retriever
from src.retrieval.vector_store import VectorStore
from tests.retrieval.corpus import WordEncoder


@pytest.fixture
def retriever(index_dir: Path, manifest: Manifest, passages: PassageStore) -> Iterator[Retriever]:
    vectors = VectorStore.open(index_dir, manifest)
    yield Retriever(passages, LexicalIndex(passages.database), WordEncoder, lambda: vectors)
    vectors.close()


def test_hybrid_finds_what_both_agree_on(retriever: Retriever) -> None:
    """First in both rankings is first, with the whole score."""
    found = retriever.search("unused days of holiday", limit=2)
    assert (found.kind, found.hits[0].chunk.document, found.hits[0].score) == ("hybrid", "leave.md", pytest.approx(1.0))
    assert found.relevance is not None
    assert 0 < found.relevance < 1


def test_lexical_asks_for_neither_model_nor_vectors(passages: PassageStore) -> None:
    """DEGRADED mode must load nothing."""

    def refuse() -> None:
        raise AssertionError

    retriever = Retriever(passages, LexicalIndex(passages.database), refuse, refuse)  # type: ignore[arg-type]
    found = retriever.search("max_requests", limit=5, kind="lexical")
    assert [hit.chunk.document for hit in found.hits] == ["server.md"]
    assert (found.kind, found.relevance, found.embed_ms) == ("lexical", None, 0.0)


def test_pages_are_cut_from_one_ranking(retriever: Retriever) -> None:
    """Pages side by side are the whole."""
    whole = retriever.search("reimbursed days", limit=10)
    pages = [retriever.search("reimbursed days", limit=2, offset=at) for at in (0, 2)]
    assert whole.hits == pages[0].hits + pages[1].hits
    assert (whole.total, pages[0].total, pages[1].total) == (4, 4, 4)
    assert retriever.search("reimbursed days", limit=2, offset=50).hits == ()


@pytest.mark.parametrize("kind", ["hybrid", "dense", "lexical"])
def test_filters_hold_for_every_kind(retriever: Retriever, kind: str) -> None:
    """No passage of another document comes through."""
    found = retriever.search("reimbursed", limit=5, filters=Filters(("on-call.md",)), kind=kind)  # type: ignore[arg-type]
    assert [hit.chunk.document for hit in found.hits] == ["on-call.md"]
