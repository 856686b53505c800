"""Quotations: what stands in them, where they are cut, and what is marked."""

import re
import time
from dataclasses import replace

import pytest

from src.rag.quotation import (
    HIGHLIGHT_MARGIN,
    MAX_SECOND_WORDS,
    MAX_SENTENCE_WORDS,
    MAX_WORDS,
    SECOND_MARGIN,
    answer_by_quotation,
    read_sentence,
    render,
)
from src.records import Chunk, Citation, Hit
from tests.fakes import hits_of, hits_scored, make_chunk


def mark_up(text: str, *sentences: str, section: str = "", start: int = 0) -> Chunk:
    """Make a chunk of Markdown; the sentences stand in it in this order."""
    spans: list[tuple[int, int]] = []
    for sentence in sentences:
        at = text.index(sentence, spans[-1][1] if spans else 0)
        spans.append((at, at + len(sentence)))
    return Chunk("a.md#0", "a.md", "A", section, None, text, start, start + len(text), tuple(spans))


def sentence_of(words: int, number: int) -> str:
    """A sentence of so many words, of which the first is its number."""
    return f"S{number} " + "word " * (words - 2) + "end."


def quote(chunk: Chunk, *cosines: float, question: str = "?") -> tuple[str, Citation]:
    """Quote one passage; return its text without the marker, and the citation."""
    text, (citation,) = answer_by_quotation(question, [Hit(chunk, 1.0, cosines)])
    assert text.endswith("[1]")
    return text.removesuffix("[1]").rstrip(), citation


def numbers_in(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\bS(\d+)\b", text)]


def test_passage_is_quoted_whole_and_in_order() -> None:
    """Up to the limit nothing is left out or moved, wherever the best sentence stands."""
    chunk = make_chunk(*(sentence_of(17, number) for number in range(10)), start=50)
    assert len(chunk.text.split()) == MAX_WORDS
    text, citation = quote(chunk, *([0.1] * 9), 0.9)
    assert text == chunk.text == citation.excerpt
    assert (citation.start, citation.end) == (50, chunk.end)


def test_long_passage_is_cut_around_its_best_sentence() -> None:
    """Of sentences of 40 words, four fit: the one before first, then the one after, and so on by turns."""
    chunk = make_chunk(*(sentence_of(40, number) for number in range(10)), start=50)
    text, citation = quote(chunk, *([0.1] * 5), 0.9, *([0.1] * 4))
    assert numbers_in(text) == [3, 4, 5, 6]
    document = " " * 50 + chunk.text
    assert document[citation.start : citation.end] == citation.excerpt == text


def test_one_word_too_many_is_a_long_passage() -> None:
    """The limit itself is no reason to cut."""
    sentences = [sentence_of(17, number) for number in range(9)]
    assert numbers_in(quote(make_chunk(*sentences, sentence_of(17, 9)), 0.9, *([0.1] * 9))[0]) == list(range(10))
    assert numbers_in(quote(make_chunk(*sentences, sentence_of(18, 9)), 0.9, *([0.1] * 9))[0]) == list(range(9))


def test_cut_goes_on_at_the_side_where_there_is_room() -> None:
    """A sentence that does not fit ends its side only; one that fits exactly is taken."""
    sizes = [50, 60, 60, 100, 20]
    chunk = make_chunk(*(sentence_of(size, number) for number, size in enumerate(sizes)))
    assert numbers_in(quote(chunk, 0.1, 0.1, 0.9, 0.1, 0.1)[0]) == [0, 1, 2]
    assert numbers_in(quote(chunk, 0.9, 0.1, 0.1, 0.1, 0.1)[0]) == [0, 1, 2]
    assert numbers_in(quote(chunk, 0.1, 0.1, 0.1, 0.1, 0.9)[0]) == [3, 4]


@pytest.mark.parametrize(
    ("beginning", "between", "numbers"),
    [
        ("This", " ", [2, 3, 4, 5, 6]),
        ("However,", "\n\n", [2, 3, 4, 5, 6]),
        ("Item", " ", [3, 4, 5, 6]),
        ("Italy", " ", [3, 4, 5, 6]),
        ("This", "\n\n## More\n\n", [3, 4, 5, 6]),
    ],
)
def test_sentence_that_continues_another_comes_with_it(beginning: str, between: str, numbers: "list[int]") -> None:
    """A quotation does not begin in the middle of a thought; a heading begins one."""
    sentences = [sentence_of(40, number) for number in range(10)]
    sentences[3] = f"{beginning} {sentences[3]}"
    text = " ".join(sentences[:3]) + between + " ".join(sentences[3:])
    assert numbers_in(quote(mark_up(text, *sentences), *([0.1] * 5), 0.9, *([0.1] * 4))[0]) == numbers


def test_sentence_after_a_list_stands_alone() -> None:
    """The last item is not what it continues."""
    sentences = [sentence_of(40, number) for number in range(10)]
    sentences[3] = f"This {sentences[3]}"
    text = f"{' '.join(sentences[:2])}\n\n- {sentences[2]}\n\n{' '.join(sentences[3:])}"
    assert numbers_in(quote(mark_up(text, *sentences), *([0.1] * 5), 0.9, *([0.1] * 4))[0]) == [3, 4, 5, 6]


def test_long_passage_without_sentences_is_quoted_whole() -> None:
    """Code alone has no borders to be cut at."""
    chunk = mark_up("word " * 200)
    assert quote(chunk)[1].excerpt == chunk.text


def test_no_passages_give_nothing() -> None:
    """There is nothing to quote."""
    assert answer_by_quotation("?", []) == ("", [])


def test_heading_comes_with_its_text() -> None:
    """The last one of the path carries the subject; one that the passage begins with is not said twice."""
    assert quote(make_chunk("Ten days.", section="Leave > Moving home"))[0] == "**Moving home**\n\nTen days."
    chunk = mark_up("## Moving home\n\nTen days.", "Ten days.", section="Leave > Moving home")
    assert quote(chunk)[0] == "**Moving home**\n\nTen days."
    assert quote(make_chunk("Ten days."))[0] == "Ten days."


ITEMS = [f"S{number} " + "word " * 18 + "end" for number in range(12)]


def test_item_of_a_long_list_comes_with_the_lead_in() -> None:
    """What is cut off between is left out; the excerpt begins with the first item quoted, at its mark."""
    text = "It is long.\nThe company pays for:\n" + "\n".join(f"- {item}" for item in ITEMS)
    chunk = mark_up(text, "It is long.", "The company pays for:", *ITEMS)
    quoted, citation = quote(chunk, *([0.1] * 12), 0.9, 0.1)
    assert numbers_in(quoted) == [4, 5, 6, 7, 8, 9, 10, 11]
    assert quoted.startswith("The company pays for:\n- S4 word")
    assert citation.excerpt.startswith("- S4 word")


def test_sentence_without_a_colon_is_no_lead_in() -> None:
    """A list may follow any sentence."""
    text = "It is long.\n" + "\n".join(f"1. {item}" for item in ITEMS)
    quoted, _ = quote(mark_up(text, "It is long.", *ITEMS), *([0.1] * 11), 0.9, 0.1)
    assert quoted.startswith("1. S4 word")


def test_lead_in_is_for_items_only() -> None:
    """Of plain sentences after a colon none is an item, and a list that begins the passage has none before it."""
    sentences = ["It pays for:", *(f"{item}." for item in ITEMS)]
    quoted, _ = quote(make_chunk(*sentences), *([0.1] * 11), 0.9, 0.1)
    assert quoted.startswith("S4 word")
    listed = mark_up("\n".join(f"* {item}" for item in ITEMS), *ITEMS)
    assert quote(listed, *([0.1] * 10), 0.9, 0.1)[0].startswith("* S4 word")
    followed = mark_up(listed.text + "\nNext:", *ITEMS, "Next:")
    assert quote(followed, *([0.1] * 10), 0.9, 0.1, 0.1)[0].startswith("* S4 word")


def test_lead_in_inside_the_quotation_is_not_said_twice() -> None:
    """It is there already."""
    text = "It pays for:\n" + "\n".join(f"- {item}" for item in ITEMS)
    quoted, _ = quote(mark_up(text, "It pays for:", *ITEMS), 0.1, 0.9, *([0.1] * 11))
    assert quoted.count("It pays for:") == 1
    assert quoted.startswith("It pays for:\n- S0 word")


def make_table(rows: int) -> Chunk:
    lines = [f"| S{number} " + "word " * 17 + f"| {number} |" for number in range(rows)]
    return mark_up("Rules:\n| Occasion | Days |\n|---|---:|\n" + "\n".join(lines), "Rules:", *lines)


def test_row_is_read_with_the_head_that_is_cut_off() -> None:
    """A cell says nothing without its column's name."""
    quoted, citation = quote(make_table(12), *([0.1] * 11), 0.9, 0.1)
    first = quoted.splitlines()[0]
    assert re.fullmatch(r"- Occasion: S\d+ (word )+; Days: \d+".replace("(word )+", r"(?:word ?)+"), first)
    assert citation.excerpt.startswith("| S")


def test_table_is_read_row_by_row() -> None:
    """The head's names stand in each row; borders and rules are gone."""
    quoted, _ = quote(make_table(2))
    assert quoted.splitlines() == [
        "Rules:", "- Occasion: S0 " + "word " * 16 + "word; Days: 0", "- Occasion: S1 " + "word " * 16 + "word; Days: 1"
    ]  # fmt: skip


@pytest.mark.parametrize(("score", "markers"), [(1 - SECOND_MARGIN + 1e-9, [1, 2]), (1 - SECOND_MARGIN - 1e-6, [1])])
def test_second_passage_is_quoted_where_it_fits_nearly_as_well(score: float, markers: list[int]) -> None:
    """Within the margin it follows in a paragraph of its own; a third one never does."""
    chunks = [make_chunk(f"Rule {n}.", document=f"{n}.md") for n in range(3)]
    text, citations = answer_by_quotation("?", hits_scored((chunks[0], 1.0), (chunks[1], score), (chunks[2], score)))
    assert [citation.marker for citation in citations] == markers
    assert text == "\n\n".join(f"Rule {marker - 1}. [{marker}]" for marker in markers)


def test_second_passage_is_cut_shorter() -> None:
    """It adds to the first one, and should not bury it."""
    first = make_chunk("Ten days.")
    second = make_chunk(*(sentence_of(40, number) for number in range(4)), number=1)
    text, _ = answer_by_quotation("?", [Hit(first, 1.0, (0.5,)), Hit(second, 1.0, (0.9, 0.1, 0.1, 0.1))])
    assert numbers_in(text) == [0, 1]
    assert 80 <= MAX_SECOND_WORDS < 120 <= MAX_WORDS


def highlighted(chunk: Chunk, *cosines: float, question: str = "?") -> list[str]:
    """Return what is marked, read from the document, which begins with blanks up to the passage."""
    document = " " * chunk.start + chunk.text
    _, citation = quote(chunk, *cosines, question=question)
    assert all(citation.start <= start < end <= citation.end for start, end in citation.highlights)
    return [document[start:end] for start, end in citation.highlights]


FIVE = make_chunk("One.", "Two.", "Three.", "Four.", "Five.", start=70)


def test_best_sentences_are_marked_in_the_order_of_the_text() -> None:
    """Those within the margin of the best one, three at most."""
    best = 0.9
    near, far = best - HIGHLIGHT_MARGIN + 1e-9, best - HIGHLIGHT_MARGIN - 1e-6
    assert highlighted(FIVE, near, far, best, far, far) == ["One.", "Three."]
    assert highlighted(FIVE, 0.1, 0.1, 0.1, best, 0.1) == ["Four."]
    assert highlighted(FIVE, near, 0.89, best, 0.88, near) == ["Two.", "Three.", "Four."]


def test_nothing_is_marked_where_nothing_fits() -> None:
    """A cosine of 0 or less says that no sentence is like the question."""
    assert highlighted(FIVE, 0.0, -0.1, 0.0, 0.0, 0.0) == []
    assert highlighted(mark_up("# A")) == []


def test_sentence_that_was_cut_off_is_not_marked() -> None:
    """Highlights are inside the excerpt."""
    chunk = make_chunk(*(sentence_of(60, number) for number in range(5)), start=9)
    assert [numbers_in(text) for text in highlighted(chunk, 0.85, 0.1, 0.1, 0.1, 0.9)] == [[4]]


def test_without_cosines_words_tell_which_sentence_fits() -> None:
    """As in a search by words: the share of the question's words that a sentence holds."""
    chunk = make_chunk("Leave is fun.", "Paid leave is 27 days.", "Ask.", start=9)
    question = "How many days of paid leave?"
    assert highlighted(chunk, question=question) == ["Paid leave is 27 days."]
    assert highlighted(chunk, question="Who?") == []


def test_long_passage_is_cut_by_words_too() -> None:
    """The best sentence is the one that holds most of the question's words."""
    chunk = make_chunk(*(sentence_of(90, number) for number in range(3)), "Paid leave is 27 days.")
    assert numbers_in(quote(chunk, question="How many days of paid leave?")[0]) == [2]


@pytest.mark.parametrize(
    "text",
    ["The river is 90 km long [3].", "[[9]3]", "Take `rivers[3]`.", "```\nrivers[3]\n```",
     "| a [3] |", "## Rivers [3]"],
)  # fmt: skip
def test_reference_in_a_document_never_becomes_a_marker(text: str) -> None:
    """A document's own [3], however it is written, does not look like a citation; the excerpt keeps it."""
    quoted, citation = quote(mark_up(text, section="Rivers"))
    assert re.findall(r"\[\d+\]", quoted) == []
    assert citation.excerpt == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("## Moving home\nTen.\n### Days\nSix.", "**Moving home**\n\nTen.\n\n**Days**\n\nSix."),
        ("Fish & chips, 2 < 3", "Fish & chips, 2 < 3"),
        ("Use `**kwargs` and `<b>`.", "Use `**kwargs` and `<b>`."),
        ("See [1] and `f[2]` and [3].", "See and `f[ 2 ]` and."),
        ("```py\na = **b  # [x](y)\n```\nDone.", "```\na = **b  # [x](y)\n```\nDone."),
        ("~~~\n| a |", "```\n| a |\n```"),
        ("- a\n  - b\n1. c", "- a\n  - b\n1. c"),
        ("a\n\n\n\nb  ", "a\n\nb"),
        ("| A | B |\n|---|---|\n| 1 | |\n| | 2 |", "- A: 1\n- B: 2"),
        ("| A | |\n| :-- | - |\n| 1 | 2 |", "- A: 1; 2"),
        ("| A | B |\n|---|---|\n| 1 | 2 | 3 |", "- 1; 2; 3"),
        ("| a \\| b | c |", "- a \\| b; c"),
        ("| 1 | 2 |", "- 1; 2"),
        ("|---|---|\n| 1 |", "- 1"),
        ("#hashtag and C#", "#hashtag and C#"),
    ],
)
def test_clean_markdown_reads_as_text(source: str, text: str) -> None:
    """Lists and code stay; headings are bold, and rows name their columns."""
    assert render(source) == text


def test_second_table_has_its_own_head() -> None:
    """Rows without a head do not take that of a table before them."""
    assert render("| A | B |\n|---|---|\n| 1 | 2 |\n\nThen\n\n| 3 | 4 |") == "- A: 1; B: 2\n\nThen\n\n- 3; 4"


@pytest.mark.parametrize("document", ["a.md", "mail.eml"])
def test_image_in_a_document_is_text(document: str) -> None:
    """Its address would be fetched by whoever draws the answer; in code it is shown as it is."""
    text = "Or `![b](http://x.y)`, see ![a](http://x.y) and <img src=x>."
    chunk = replace(mark_up(text, text), document=document)
    assert quote(chunk)[0] == "Or `![b](http://x.y)`, see ! [a](http://x.y) and ‹img src=x>."


def test_code_at_the_end_is_closed_before_the_marker() -> None:
    """A marker on the line of the fence would be code."""
    text, _ = answer_by_quotation("?", hits_of([mark_up("Run:\n```\nls\n```")]))
    assert text == "Run:\n```\nls\n```\n[1]"


def test_code_that_is_cut_is_still_code() -> None:
    """Where the cut begins in the middle of a block, a fence is set before it, and its own end ends it."""
    code = [f"S{number} = " + "word " * 17 + "end" for number in range(12)]
    text = "Run:\n```\n" + "\n".join(code) + "\n```\nDone."
    quoted, citation = quote(mark_up(text, "Run:", *code, "Done."), *([0.1] * 12), 0.9, 0.1)
    assert numbers_in(quoted) == [4, 5, 6, 7, 8, 9, 10, 11]
    assert quoted.startswith("```\nS4 = word")
    assert quoted.endswith("end\n```\nDone.")
    assert citation.excerpt.startswith("S4 = word")


def test_text_after_a_whole_block_of_code_is_text() -> None:
    """A block that was cut off with its end sets no fence."""
    sentences = [sentence_of(40, number) for number in range(8)]
    chunk = mark_up("```\nls\n```\n" + " ".join(sentences), *sentences)
    assert quote(chunk, *([0.1] * 7), 0.9)[0].startswith("S4 word")


def test_sentence_is_read_alone() -> None:
    """On one line, without references; a row with its head; cut where it is endless."""
    chunk = mark_up("It is\n  long [3].", "It is\n  long [3].")
    assert read_sentence(chunk, 0) == "It is long."
    assert read_sentence(make_table(2), 2) == "Occasion: S1 " + "word " * 16 + "word; Days: 1"
    assert read_sentence(mark_up("| 1 | 2 |", "| 1 | 2 |"), 0) == "1, 2"
    after_text = mark_up("Leave.\n\nBy grade:\n| Grade | Days |\n|---|---|\n| 3 | 27 |", "| 3 | 27 |")
    assert read_sentence(after_text, 0) == "Grade: 3; Days: 27"
    assert read_sentence(mark_up("|---|---|\n| 3 | 27 |", "| 3 | 27 |"), 0) == "3, 27"
    whole = " ".join(["word"] * MAX_SENTENCE_WORDS)
    assert read_sentence(make_chunk(whole), 0) == whole
    assert read_sentence(make_chunk(whole + " end"), 0) == whole[: -len("word")] + "…"


@pytest.mark.parametrize(
    "part", [" ", "-", "| ", "- ", "# ", "#", "<!--", "[", "[a](", '[a](b "', "{{", "{: ", "&#", "`", "**"]
)
def test_worst_passage_takes_little_time(part: str) -> None:
    """A line of 20 kB of what each pattern begins with is drawn in two seconds at most."""
    line = part * (20_000 // len(part)) + "x"
    started = time.process_time()
    for text in (line, "| a |\n" + line, "|" + line, "# " + line, "a" + line + "\n| b |"):
        quote(mark_up(text))
        read_sentence(mark_up(text, text), 0)
    assert time.process_time() - started < 2.0


def test_row_in_a_later_chunk_names_its_columns() -> None:
    """The head of a table that began before the chunk is the chunk's lead."""
    chunk = replace(mark_up("| 1 | 2 |\n| 3 | 4 |", "| 1 | 2 |", "| 3 | 4 |"), lead="Grade | Days")
    assert read_sentence(chunk, 1) == "Grade: 3; Days: 4"
    assert quote(chunk, 0.9, 0.1)[0] == "- Grade: 1; Days: 2\n- Grade: 3; Days: 4"


def test_list_in_a_later_chunk_comes_with_its_lead_in() -> None:
    """What a list that began before the chunk is about stands before it, outside the excerpt."""
    chunk = replace(mark_up("- trains\n- taxis", "trains", "taxis"), lead="You can claim:")
    quoted, citation = quote(chunk, 0.9, 0.1)
    assert quoted == "You can claim:\n- trains\n- taxis"
    assert citation.excerpt == "- trains\n- taxis"


def test_plain_text_is_quoted_as_it_stands() -> None:
    """A sign at the beginning of a line of a PDF is no heading."""
    chunk = replace(mark_up("# 12 of 30\n| a |", "# 12 of 30"), document="leave.pdf")
    assert quote(chunk, 0.9)[0] == "# 12 of 30\n| a |"
