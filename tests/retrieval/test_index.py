"""Both searches together, on a real index."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from src.artifacts import Manifest
from src.errors import VectorsUnavailable
from src.records import Document, Filters, RetrievalKind
from src.retrieval.index import CacheStats, Index, open_index
from src.retrieval.ranking import ScoredId
from src.retrieval.vector_store import VectorStore
from tests.fakes import WordEncoder, cut_chunk, embed
from tests.retrieval.conftest import build_index, make_manifest
from tests.retrieval.corpus import CHUNKS, DOCUMENTS


@pytest.fixture
def index(index_dir: Path, manifest: Manifest) -> Iterator[Index]:
    with closing(open_index(index_dir, manifest=manifest, get_encoder=WordEncoder)) as opened:
        yield opened


def test_hybrid_finds_what_both_agree_on(index: Index) -> None:
    """First in both rankings is first, and the nearest is its cosine and that of its nearest sentence."""
    found = index.search("unused days of holiday", limit=2)
    assert (found.kind, found.hits[0].chunk.document) == ("hybrid", "leave.md")
    chunk = found.hits[0].chunk
    question = embed("unused days of holiday")
    whole = float(embed(f"{chunk.title} {chunk.text}") @ question)
    assert found.nearest == pytest.approx(whole + max(found.hits[0].cosines), abs=0.02)
    assert found.hits[0].score > found.nearest  # the words are added


def test_lexical_asks_for_neither_model_nor_vectors(index_dir: Path, manifest: Manifest) -> None:
    """DEGRADED mode must load nothing."""

    def refuse() -> None:
        raise AssertionError

    opened = open_index(index_dir, manifest=manifest, get_encoder=refuse, get_vectors=refuse)  # type: ignore[arg-type]
    with closing(opened) as index:
        found = index.search("max_requests", limit=5, kind="lexical")
    assert [hit.chunk.document for hit in found.hits] == ["server.md"]
    assert (found.kind, found.nearest, found.embed_ms) == ("lexical", None, 0.0)


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


class ComingAndGoing:
    """Vectors that are away while `is_away` is set."""

    problem: str | None = None

    def __init__(self, index_dir: Path) -> None:
        self.is_away = True
        self.store = VectorStore.open(index_dir, len(CHUNKS))

    def search(self, *arguments: Any) -> list[ScoredId]:
        if self.is_away:
            raise VectorsUnavailable("away")
        return self.store.search(*arguments)

    def close(self) -> None:
        self.store.close()


def test_search_falls_back_to_words_and_does_not_remember_it(index_dir: Path, index: Index, manifest: Manifest) -> None:
    """What was found without vectors says so, and is forgotten as soon as they are back."""
    with (
        closing(ComingAndGoing(index_dir)) as vectors,
        closing(
            open_index(index_dir, manifest=manifest, get_encoder=WordEncoder, get_vectors=lambda: vectors)
        ) as opened,
    ):
        for find in ("search", "find_passages"):
            ask = {"limit": 2, "filters": Filters()}
            hybrid, lexical = (
                getattr(index, find)("reimbursed days", **ask, kind=kind) for kind in ("hybrid", "lexical")
            )
            vectors.is_away = True
            away = getattr(opened, find)("reimbursed days", **ask, kind="hybrid")
            assert (away.kind, away.hits, away.nearest) == ("lexical", lexical.hits, None)
            vectors.is_away = False
            back = getattr(opened, find)("reimbursed days", **ask, kind="hybrid")
            assert (back.kind, back.hits, back.nearest) == ("hybrid", hybrid.hits, hybrid.nearest)
            vectors.is_away = True
            again = getattr(opened, find)("reimbursed days", **ask, kind="hybrid")
            assert (again.kind, again.hits) == ("hybrid", hybrid.hits)
        with pytest.raises(VectorsUnavailable):
            opened.search("reimbursed days", limit=2, kind="dense")


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
def test_no_page_repeats_a_passage(index: Index, monkeypatch: pytest.MonkeyPatch, kind: RetrievalKind) -> None:
    """A search looks at the same chunks whatever page is asked for, so its ranking is the same."""
    monkeypatch.setattr("src.retrieval.index.CANDIDATES", 2)
    pages = [index.search("reimbursed days", limit=1, offset=at, kind=kind) for at in range(5)]
    hits = [hit for page in pages for hit in page.hits]
    assert len(hits) == len({hit.chunk.chunk_id for hit in hits}) == pages[0].total
    assert {page.total for page in pages} == {len(hits)}


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


TEXT = (
    "Unused holiday lapses. It lapses in March.\n\nSo ask for it. Ask in time.\n\nMarch ends the year. Then it is lost."
)


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Index]:
    """One document of three chunks; only the outer ones speak of March."""
    document = Document("leave.md", "Leave", TEXT, "0" * 64)
    first, second = TEXT.index("\n\n"), TEXT.rindex("\n\n")
    borders = [(0, first), (first + 2, second), (second + 2, len(TEXT))]
    chunks = [cut_chunk(document, number, start, end) for number, (start, end) in enumerate(borders)]
    build_index(tmp_path, [document], chunks)
    opened = open_index(tmp_path, manifest=make_manifest(3), get_encoder=WordEncoder)
    with closing(opened) as index:
        yield index


@pytest.mark.parametrize("kind", ["hybrid", "lexical"])
def test_passage_is_joined_from_what_stands_beside_it(three: Index, kind: RetrievalKind) -> None:
    """The text runs on through a chunk that was not found itself; a list of hits shows the chunks as cut."""
    apart = three.search("lapses in March", limit=3, kind=kind)
    whole = three.find_passages("lapses in March", limit=3, filters=Filters(), kind=kind)
    assert apart.hits[0].chunk.text == TEXT.split("\n\n")[0]
    assert whole.hits[0].chunk.text == "\n\n".join(TEXT.split("\n\n")[:2])
    assert whole.hits[0].score == apart.hits[0].score
    assert [hit.chunk.text for hit in whole.hits[1:]] == TEXT.split("\n\n")[2:]


def test_passage_is_joined_from_what_stands_before_it(three: Index) -> None:
    """Only the last chunk has the word, and none stands after it."""
    (passage,) = three.find_passages("lost", limit=3, filters=Filters(), kind="lexical").hits
    assert passage.chunk.text == "\n\n".join(TEXT.split("\n\n")[1:])


@pytest.mark.parametrize("kind", ["hybrid", "dense"])
def test_sentences_of_a_passage_have_their_cosines(three: Index, kind: RetrievalKind) -> None:
    """Those of a chunk that was taken in too; a search by words embeds nothing."""
    (best, *_) = three.find_passages("ask in time", limit=3, filters=Filters(), kind=kind).hits
    assert best.chunk.text == TEXT
    sentences = [TEXT[start:end] for start, end in best.chunk.sentences]
    expected = [float(embed(sentence) @ embed("ask in time")) for sentence in sentences]
    assert best.cosines == pytest.approx(expected, abs=0.05)
    (best, *_) = three.find_passages("ask in time", limit=3, filters=Filters(), kind="lexical").hits
    assert best.cosines == ()


def test_passages_are_as_many_as_asked_for_and_remembered(index: Index) -> None:
    """A question asked again is looked up; another number of passages is another question."""
    ask = {"filters": Filters(), "kind": "hybrid"}
    assert len(index.find_passages("reimbursed days", limit=1, **ask).hits) == 1  # type: ignore[arg-type]
    assert len(index.find_passages("reimbursed days", limit=3, **ask).hits) == 3  # type: ignore[arg-type]
    again = index.find_passages("reimbursed days", limit=3, **ask)  # type: ignore[arg-type]
    assert (again.embed_ms, index.cache_stats()) == (0.0, CacheStats(hits=1, misses=2, entries=2))
    index.clear_cache()
    assert index.cache_stats() == CacheStats(hits=0, misses=0, entries=0)


def test_filters_hold_for_passages(index: Index) -> None:
    """No text of another document comes through."""
    found = index.find_passages("reimbursed", limit=5, filters=Filters(("on-call.md",)), kind="hybrid")
    assert [hit.chunk.document for hit in found.hits] == ["on-call.md"]


@pytest.mark.parametrize("kind", ["hybrid", "dense", "lexical"])
@pytest.mark.parametrize(
    "dressed",
    ["Unused days of holiday?", "UNUSED DAYS OF HOLIDAY", "please, unused days of holiday",
     "  unused days  of holiday.", "Hi, unused days of holiday? Thanks!",
     "unused days of holiday, thank you very much"],
)  # fmt: skip
def test_question_in_other_dress_is_the_same(index: Index, dressed: str, kind: RetrievalKind) -> None:
    """Signs, capitals and courtesies change neither what is found nor its scores."""
    plain = index.find_passages("unused days of holiday", limit=4, filters=Filters(), kind=kind)
    found = index.find_passages(dressed, limit=4, filters=Filters(), kind=kind)
    assert (found.hits, found.nearest) == (plain.hits, plain.nearest)


def test_slip_is_put_right_before_anything_is_searched(index: Index) -> None:
    """Meaning and words both get the word that a chunk holds."""
    plain = index.search("unused days of holiday", limit=4)
    slipped = index.search("unused days of hoilday", limit=4)
    assert (slipped.hits, slipped.nearest) == (plain.hits, plain.nearest)


def test_times_of_embedding_and_of_the_search_are_told_apart(
    three: Index, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In milliseconds: 3 s for the embedding, 2 s for the vectors."""
    clock = SimpleNamespace(now_s=0.0)
    monkeypatch.setattr("src.retrieval.index.time", SimpleNamespace(perf_counter=lambda: clock.now_s))

    class Slow(WordEncoder):
        def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            clock.now_s += 3
            return super().embed(texts)

        def search(self, *_: object) -> list[ScoredId]:
            clock.now_s += 2
            return [ScoredId("leave.md#0", 0.5)]

    found = Index(manifest, three.texts, Slow, Slow, lambda: None).search("holiday", limit=1)
    assert (found.embed_ms, found.retrieve_ms) == pytest.approx((3000, 2000))


def test_titles_are_listed_with_their_number(index: Index) -> None:
    """The first ones, in the order of the documents, and how many there are."""
    assert index.list_titles(2) == (["Annual leave", "On-call duty"], 4)
