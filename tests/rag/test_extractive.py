"""Extractive answers from passages whose best sentence a reader would name."""

import re

import pytest

from src.rag.citations import CitedText
from src.rag.extractive import answer_extractively
from src.rag.quoting import MAX_WORDS
from src.records import Chunk
from tests.fakes import hits_of, make_chunk

LEAVE = make_chunk(
    "Annual leave is for rest.",
    "A full-time employee has 27 days of paid leave in each year.",
    "They lapse on 31 March.",
    "Ask in Roster with form L-1.",
    start=50,
)


def ask(question: str, *chunks: Chunk, by_words: bool = False) -> CitedText:
    return answer_extractively(question, hits_of(chunks, None if by_words else question))


@pytest.mark.parametrize("by_words", [False, True])
def test_sentence_that_answers_is_quoted(by_words: bool) -> None:
    """With and without the question's embedding, the sentence that holds the answer comes."""
    assert "27 days" in ask("How many days of paid leave does an employee have?", LEAVE, by_words=by_words).text


def test_every_marker_is_a_citation_with_its_span_in_the_document() -> None:
    """The excerpt is the document's text from start to end."""
    cited = ask("How many days of paid leave does an employee have?", LEAVE)
    document = " " * 50 + LEAVE.text
    assert {int(n) for n in re.findall(r"\[(\d+)\]", cited.text)} == {c.marker for c in cited.citations} == {1}
    assert [document[c.start : c.end] for c in cited.citations] == [c.excerpt for c in cited.citations]


def test_sentence_that_leans_brings_the_one_before() -> None:
    """ "They lapse" says nothing without the sentence that names them."""
    assert "27 days of paid leave in each year. They lapse on 31 March." in ask("When does leave lapse?", LEAVE).text


def test_answer_to_a_question_in_the_text_brings_the_question() -> None:
    """ "No." alone answers nothing."""
    chunk = make_chunk("Do contractors have leave?", "No, only a notice of absence is needed from them.")
    assert ask("contractors notice of absence", chunk).text.startswith("Do contractors have leave? No,")


def test_item_brings_its_lead_in() -> None:
    """A list's item is read with the line that introduces it."""
    text = "The company pays for:\n- a chair up to EUR 300\n- a screen up to EUR 250"
    spans = tuple(m.span() for m in re.finditer(r"The company pays for:|a \w+ up to EUR \d+", text))
    chunk = Chunk("home.md#0", "home.md", "Home", "", None, text, 0, len(text), spans)
    assert ask("How much is paid for a chair?", chunk).text.startswith("The company pays for:\n- a chair up to EUR 300")


def test_row_is_read_with_its_header() -> None:
    """A cell says nothing without its column's name."""
    text = "| Occasion | Paid days |\n|---|---|\n| Moving home | 1 |\n| Death of a parent | 5 |"
    spans = tuple(m.span() for m in re.finditer(r"\| (?:Moving|Death)[^\n]*", text))
    chunk = Chunk("leave.md#0", "leave.md", "Leave", "", None, text, 0, len(text), spans)
    assert "Occasion: Death of a parent; Paid days: 5 [1]" in ask("Days after the death of a parent?", chunk).text


def test_reference_in_a_quoted_sentence_is_no_marker() -> None:
    """A document's own [7] must not look like a citation."""
    cited = ask("How long is the river?", make_chunk("The river is 90 km long [7].", document="river.md"))
    assert cited.text == "The river is 90 km long. [1]"
    assert cited.citations[0].excerpt == "The river is 90 km long [7]."


def test_endless_sentence_is_cut() -> None:
    """A sentence of 300 words is a table or code; its beginning is quoted, the citation holds all of it."""
    chunk = make_chunk("Leave " + "word " * 300 + "end.")
    cited = ask("What is leave?", chunk)
    assert len(cited.text.split()) <= MAX_WORDS + 1
    assert cited.citations[0].excerpt == chunk.text


def test_same_sentence_twice_is_quoted_once() -> None:
    """Two documents that say the same thing are one answer."""
    copies = [make_chunk("A full-time employee has 27 days of paid leave.", document=f"{n}.md") for n in range(3)]
    assert ask("How many days of paid leave?", *copies).text.count("27 days") == 1


def test_answer_stays_short() -> None:
    """However much fits the question, it is at most 80 words."""
    long = [make_chunk(*(f"Leave rule {n}{m} says that leave is paid and counted in days of work that the team plans "
                         f"together with the manager of group {n}{m}." for m in range(5)), document=f"{n}.md")
            for n in range(5)]  # fmt: skip
    words = re.sub(r"\[\d+\]", "", ask("How is leave paid?", *long).text).split()
    assert 20 < len(words) <= MAX_WORDS


def test_passages_without_sentences_give_nothing() -> None:
    """A passage of code or headings only has nothing to quote."""
    empty = Chunk("a.md#0", "a.md", "A", "", None, "# A", 0, 3, ())
    assert ask("What is A?", empty) == CitedText("", ())


def test_neighbour_of_the_best_sentence_comes_before_others_that_fit_alike() -> None:
    """What answers is often said beside the sentence that repeats the question's words."""
    fillers = ["Colleagues park behind the hall.", "Lockers stand in the yard."]
    alike = ["A fee of 5 % is paid.", "A charge of 6 % is paid.", "A supplement of 12 % is paid."]
    chunk = make_chunk(alike[0], fillers[0], alike[1], fillers[1], "Late shifts end at ten.", alike[2])
    assert "12 %" in ask("Are late shifts paid?", chunk, by_words=True).text
