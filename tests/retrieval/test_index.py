"""Both searches together, on a real index."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from src.artifacts import Manifest
from src.records import Document, Filters
from src.retrieval.index import CacheStats, Index, open_index
from tests.fakes import WordEncoder, cut_chunk
from tests.retrieval.conftest import build_index, make_manifest
from tests.retrieval.corpus import CHUNKS, DOCUMENTS


@pytest.fixture
def index(index_dir: Path, manifest: Manifest) -> Iterator[Index]:
    with closing(open_index(index_dir, manifest=manifest, get_encoder=WordEncoder)) as opened:
        yield opened


def test_hybrid_finds_what_both_agree_on(index: Index) -> None:
    """First in both rankings is first, with the whole score."""
    found = index.search("unused days of holiday", limit=2)
    assert (found.kind, found.hits[0].chunk.document, found.hits[0].score) == ("hybrid", "leave.md", pytest.approx(1.0))
    assert found.relevance is not None
    assert 0 < found.relevance < 1


def test_lexical_asks_for_neither_model_nor_vectors(index_dir: Path, manifest: Manifest) -> None:
    """DEGRADED mode must load nothing."""

    def refuse() -> None:
        raise AssertionError

    opened = open_index(index_dir, manifest=manifest, get_encoder=refuse, get_vectors=refuse)  # type: ignore[arg-type]
    with closing(opened) as index:
        found = index.search("max_requests", limit=5, kind="lexical")
    assert [hit.chunk.document for hit in found.hits] == ["server.md"]
    assert (found.kind, found.relevance, found.embed_ms) == ("lexical", None, 0.0)


def test_question_asked_again_is_neither_embedded_nor_searched(index_dir: Path, manifest: Manifest) -> None:
    """The remembered result is the same but for its times; a cache that was cleared searches again."""
    embedded: list[str] = []

    class CountingEncoder(WordEncoder):
        def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            embedded.extend(texts)
            return super().embed(texts)

    with closing(open_index(index_dir, manifest=manifest, get_encoder=CountingEncoder)) as index:
        first, again = (index.search("reimbursed days", limit=3) for _ in range(2))
        assert embedded == ["reimbursed days"]
        assert replace(again, embed_ms=first.embed_ms, retrieve_ms=first.retrieve_ms) == first
        assert again.embed_ms + again.retrieve_ms < first.embed_ms + first.retrieve_ms
        assert index.cache_stats() == CacheStats(hits=1, misses=1, entries=1)
        index.clear_cache()
        index.search("reimbursed days", limit=3)
        assert embedded == ["reimbursed days"] * 2


def test_other_search_for_the_same_question_is_another(index: Index) -> None:
    """Limit, page, filters and kind are of the question, so none answers for another."""
    searches = (
        {"limit": 1},
        {"limit": 2},
        {"limit": 1, "offset": 1},
        {"limit": 1, "filters": Filters(("server.md",))},
        {"limit": 1, "kind": "lexical"},
    )
    found = [index.search("reimbursed days", **options).hits for options in searches]  # type: ignore[arg-type]
    assert len(set(found)) == len(searches)


def test_index_without_an_encoder_searches_by_words_only(index_dir: Path, manifest: Manifest) -> None:
    """Enough to look at what an index holds; a search by meaning says what is missing."""
    with closing(open_index(index_dir, manifest=manifest)) as index:
        assert (
            index.search("max_requests", limit=1, kind="lexical").hits[0].chunk
            == index.texts.get_chunks(["server.md#0"])[0]
        )
        with pytest.raises(LookupError, match="without an encoder"):
            index.search("max_requests", limit=1)


def test_pages_are_cut_from_one_ranking(index: Index) -> None:
    """Pages side by side are the whole."""
    whole = index.search("reimbursed days", limit=10)
    pages = [index.search("reimbursed days", limit=2, offset=at) for at in (0, 2)]
    assert whole.hits == pages[0].hits + pages[1].hits
    assert (whole.total, pages[0].total, pages[1].total) == (4, 4, 4)
    assert index.search("reimbursed days", limit=2, offset=50).hits == ()


@pytest.mark.parametrize("kind", ["hybrid", "dense", "lexical"])
def test_filters_hold_for_every_kind(index: Index, kind: str) -> None:
    """No chunk of another document comes through."""
    found = index.search("reimbursed", limit=5, filters=Filters(("on-call.md",)), kind=kind)  # type: ignore[arg-type]
    assert [hit.chunk.document for hit in found.hits] == ["on-call.md"]


def test_copy_of_a_document_is_found_once(tmp_path: Path) -> None:
    """The place in the list that it would take goes to another chunk; asked for by its name, it is found."""
    copy = replace(DOCUMENTS[0], path="old/leave.md")
    build_index(tmp_path, [*DOCUMENTS, copy], [*CHUNKS, cut_chunk(copy)])
    opened = open_index(tmp_path, manifest=make_manifest(5), get_encoder=WordEncoder)
    with closing(opened) as index:
        found = index.search("unused days of holiday", limit=5)
        named = index.search("unused days of holiday", limit=5, filters=Filters(("old/leave.md",)))
    documents = [hit.chunk.document for hit in found.hits]
    assert documents[0] in ("leave.md", "old/leave.md")
    assert (len(documents), len({*documents, "leave.md", "old/leave.md"})) == (4, 5)
    assert [hit.chunk.document for hit in named.hits] == ["old/leave.md"]


def test_adjacent_chunks_are_joined_for_an_answer(tmp_path: Path) -> None:
    """Joined, the document's text runs on, and each sentence has its cosine; a list of hits shows the chunks as cut."""
    text = "Unused holiday lapses. It lapses in March.\n\nMarch is the end of the holiday year. Ask for more holiday."
    document = Document("leave.md", "Leave", text, "0" * 64)
    cut = text.index("\n\n")
    build_index(tmp_path, [document], [cut_chunk(document, 0, 0, cut), cut_chunk(document, 1, cut + 2)])
    opened = open_index(tmp_path, manifest=make_manifest(2), get_encoder=WordEncoder)
    with closing(opened) as index:
        apart = index.search("holiday in March", limit=2)
        joined = index.search("holiday in March", limit=2, joined=True)
    assert len(apart.hits) == 2
    (hit,) = joined.hits
    assert hit.chunk.text == text
    by_sentence = {
        one.chunk.text[start:end]: cosine
        for one in apart.hits
        for (start, end), cosine in zip(one.chunk.sentences, one.cosines, strict=True)
    }
    assert hit.cosines == tuple(by_sentence[text[start:end]] for start, end in hit.chunk.sentences)
    assert hit.score == apart.hits[0].score
