"""Sentences are what an answer may quote: whole, exact, and free of the marks that make Markdown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.ingestion.outline import Outline
from src.ingestion.sentences import Span, find_markdown_sentences, find_plain_sentences


def markdown(text: str) -> list[str]:
    return [text[start:end] for start, end in find_markdown_sentences(Outline.parse(text))]


def plain(text: str, *, lines_are_paragraphs: bool = False) -> list[str]:
    spans = find_plain_sentences(text, lines_are_paragraphs=lines_are_paragraphs)
    return [text[start:end] for start, end in spans]


@pytest.mark.parametrize(
    "sentences",
    [
        ["Employees (e.g. contractors) may claim 12.5 days.", "See No. 5 of the list.", "Ask J. R. Smith for help."],
        ["The U.S. office closes at 5 p.m. on Fridays.", "Mr. Jones approves it, i.e. nobody else."],
        ["See Section 4.2.", "The limit is $1,500.00.", "Is that all?", "Yes!", "Acme Inc. pays approx. 20 people."],
        ["Use max_requests=50.", "Visit https://example.com/a.b?c=1.", "Then write to hr@example.com."],
        ["Dr. Lee, Ph.D., leads it.", "Cf. the appendix, pp. 12-15, Fig. 3.", "Jan. 5 is a holiday."],
    ],
)
def test_abbreviations_decimals_and_addresses_end_no_sentence(sentences: list[str]) -> None:
    """A full stop ends a sentence only where a person would stop."""
    assert markdown(" ".join(sentences)) == sentences


def test_sentence_may_go_on_in_the_next_line() -> None:
    """A line break within a paragraph ends nothing."""
    assert markdown("Requests go to your manager\nby Friday. Then wait.") == [
        "Requests go to your manager\nby Friday.",
        "Then wait.",
    ]


def test_list_item_is_one_sentence_without_its_mark() -> None:
    """Items with several sentences, nested ones and numbered ones too."""
    text = "- One. Two.\n  more\n  - nested\n* star\n1. first\n2) second\n"
    assert markdown(text) == ["One. Two.\n  more", "nested", "star", "first", "second"]


def test_table_row_is_one_sentence_and_its_header_none() -> None:
    """A header names what the rows say; a table that is only a header is taken for a row."""
    assert markdown("| Leave | Days |\n|---|--:|\n| Sick | 10 |\n|  |  |\n") == ["| Sick | 10 |"]
    assert markdown("| Only | row |\n|---|---|\n") == ["| Only | row |"]


def test_headings_are_no_sentences() -> None:
    """What frames the text is not quoted; what looks like other Markdown is text."""
    assert markdown("# Title\n\nText.\n\n> 5 people\n") == ["Text.", "> 5 people"]


def test_code_is_quoted_by_whole_lines() -> None:
    """A full stop in code ends nothing; the fence is no line of it."""
    assert markdown("```py\nx = a.b. c\n\n  y()\n```\n") == ["x = a.b. c", "y()"]


def test_plain_text_marks_are_only_text() -> None:
    """A `#` in a plain text makes no heading."""
    assert plain("# 1 is the limit. It holds.\n\nSecond one.") == ["# 1 is the limit.", "It holds.", "Second one."]


def test_plain_list_items_end_a_paragraph() -> None:
    """Items are found by their mark, rules are dropped."""
    text = "You need:\n- a form. Two copies.\n  signed\n2. a pen\n-----\nThat is all."
    assert plain(text) == ["You need:", "a form. Two copies.\n  signed", "a pen", "That is all."]


def test_heading_like_line_of_a_pdf_is_no_sentence() -> None:
    """A short line without a number, a colon or a full stop is a heading there."""
    text = "Performance reviews\nThey happen in May.\nFax 555-1234\nWho pays?"
    assert plain(text, lines_are_paragraphs=True) == ["They happen in May.", "Fax 555-1234", "Who pays?"]


def require_sound(text: str, spans: list[Span]) -> None:
    last = 0
    for start, end in spans:
        assert last <= start < end <= len(text)
        assert text[start:end] == text[start:end].strip()
        last = end


LINES = st.sampled_from(
    ["# A", "Text. More e.g. this", "- item", "  - nested", "1. one", "| a | b |", "|---|---|", "```", "~~~", "> q", "",
     "    code", "<div>", "</div>", "===", "---", "\t- x",
     "é\u00a0. Ü", "[a]: b", "- | x | y |", "<!--", "-->", ">", "-"]
)  # fmt: skip
# As `tidy` leaves them: no carriage return, no half of a character.
CHARACTERS = st.characters(codec="utf-8", exclude_characters="\r")
TEXTS = st.lists(LINES | st.text(alphabet=CHARACTERS, max_size=30)).map("\n".join)


@given(TEXTS)
def test_markdown_spans_ascend_inside_the_text_without_blanks(text: str) -> None:
    """Whatever is written, spans can be quoted as they are."""
    require_sound(text, find_markdown_sentences(Outline.parse(text)))


@given(TEXTS, st.booleans())
def test_plain_spans_ascend_inside_the_text_without_blanks(text: str, lines_are_paragraphs: bool) -> None:
    """Whatever is written, spans can be quoted as they are."""
    require_sound(text, find_plain_sentences(text, lines_are_paragraphs=lines_are_paragraphs))
