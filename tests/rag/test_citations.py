"""Markers as LLMs write them, and the spans that citations carry."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from src.rag.citations import cite, find_citations, normalise_markers, remove_markers
from tests.fakes import hits_of, make_chunk


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("Ten days [1].", "Ten days [1]."),
        ("Ten days [9].", "Ten days."),
        ("Ten days [0].", "Ten days."),
        ("Ten days [1, 7].", "Ten days [1]."),
        ("Ten days [1][9].", "Ten days [1]."),
        ("Ten days [1] [9].", "Ten days [1]."),
        ("Ten days [1-3].", "Ten days [1][2][3]."),
        ("Ten days [2–9].", "Ten days [2][3]."),
        ("Ten days [1; 2 and 3].", "Ten days [1][2][3]."),
        ("Ten days [^2].", "Ten days [2]."),
        ("Ten days [Passage 2].", "Ten days [2]."),
        ("Ten days [source 1, 3].", "Ten days [1][3]."),
        ("Ten days 【3†source】.", "Ten days [3]."),
        ("Ten days [1, 1].", "Ten days [1]."),
        ("Ten days [7-9].", "Ten days."),
        ("Ten days [3-1].", "Ten days [3][1]."),
        ("Ten days [1-21] [1-22].", "Ten days [1][2][3] [1]."),
        ("Ten days [#2].", "Ten days [2]."),
        ("Ten  [9] days \t[8]\n[7].", "Ten days\n."),
        ("Ten days [[9]7] [[9]] [see [9], 1].", "Ten days […7] […] [see…, 1]."),
        ("Ten days [[1]] [a] [9].", "Ten days [[1]] [a]."),
        ("See [the handbook] and [a].", "See [the handbook] and [a]."),
    ],
)
def test_markers_of_passages_that_exist_are_kept(written: str, kept: str) -> None:
    """With three passages retrieved, only 1 to 3 are markers, written one by one."""
    assert normalise_markers(written, 3) == kept


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("The river [3] is 90 km long [7, 8].", "The river is 90 km long."),
        ("See [the map] [a].", "See [the map] [a]."),
        ("[[3]4]", "[…4]"),
    ],
)
def test_references_of_a_document_are_removed(text: str, rest: str) -> None:
    """They would look like ours, and so would what may be left of them."""
    assert remove_markers(text) == rest


@given(st.text(alphabet="[]【】0123456789,.-– ^ab\n", max_size=40), st.integers(0, 12))
@example("[00000]", 0)
def test_every_marker_left_has_a_citation(text: str, passages: int) -> None:
    """Whatever an LLM writes, each [n] of the answer is a citation that exists; over four digits are no marker."""
    hits = hits_of([make_chunk("Ten days.", document=f"{n}.md") for n in range(passages)])
    kept = normalise_markers(text, passages)
    assert {int(n) for n in re.findall(r"\[(\d{1,4})\]", kept)} == {c.marker for c in find_citations(kept, hits)}


def test_citation_is_the_sentence_that_supports_the_claim() -> None:
    """The excerpt is the passage's sentence that shares most words with the claim, and its span is in the document."""
    chunk = make_chunk("Leave is fun.", "Staff have 27 days of leave.", "Ask in Roster.", start=100, page=4)
    (citation,) = find_citations("You have 27 days of leave [1]. Ask for it.", hits_of([chunk]))
    assert citation.excerpt == "Staff have 27 days of leave."
    assert (citation.start, citation.end, citation.page) == (114, 142, 4)


def test_marker_after_the_full_stop_belongs_to_the_sentence_before() -> None:
    """Many models write the marker behind the stop."""
    chunk = make_chunk("Ask in Roster.", "Staff have 27 days of leave.")
    (citation,) = find_citations("You have 27 days of leave. [1] Ask the manager.", hits_of([chunk]))
    assert citation.excerpt == "Staff have 27 days of leave."


def test_claim_without_common_words_cites_the_whole_passage() -> None:
    """Where no sentence stands out, none is made up."""
    chunk = make_chunk("Ask in Roster.", "Use form L-1.")
    (citation,) = find_citations("Twenty [1].", hits_of([chunk]))
    assert citation.excerpt == chunk.text


def test_citations_come_in_the_order_of_their_mention() -> None:
    """A reader meets them in this order."""
    hits = hits_of([make_chunk("Ask in Roster.", document=f"{n}.md") for n in range(3)])
    assert [c.marker for c in find_citations("A [3]. B [1]. C [3].", hits)] == [3, 1]


def test_first_claim_with_a_marker_decides() -> None:
    """A marker has one citation, that of its first mention."""
    chunk = make_chunk("Ask in Roster.", "Staff have 27 days of leave.")
    (citation,) = find_citations("Ask in Roster [1]. You have 27 days of leave [1].", hits_of([chunk]))
    assert citation.excerpt == "Ask in Roster."


def test_sentences_end_at_a_line_break_too() -> None:
    """A list of an LLM has no stops."""
    chunk = make_chunk("Ask in Roster.", "Staff have 27 days of leave.")
    text = "- 27 days of leave for staff\n- Roster [1]"
    assert find_citations(text, hits_of([chunk]))[0].excerpt == "Ask in Roster."


def test_citation_says_where_the_span_stands() -> None:
    """A span of the passage becomes one of the document, with all that names the place."""
    chunk = make_chunk("Leave is fun.", "Ask.", start=100, page=4, section="Rules", title="Leave", document="leave.md")
    citation = cite(2, chunk, 14, 18, [(114, 117)])
    assert (citation.marker, citation.document, citation.title) == (2, "leave.md", "Leave")
    assert (citation.section, citation.page, citation.excerpt) == ("Rules", 4, "Ask.")
    assert (citation.start, citation.end, citation.highlights) == (114, 118, ((114, 117),))
