"""How a document's page is made of its text."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from src.records import Chunk, Document
from src.web import document_view
from src.web.document_view import Span, excerpt, parse_mark, render_part

TEXT = (
    "# Bees\n\nThey hum `a_b` & <dance>. Ask us.\n\n- One\n- Two\n\n| Kind | Days |\n| --- | --- |\n| Sick | 10 |\n\n"
    "```py\nx = 1\n```\n"
)


def document(text: str, path: str = "bees.md", links: tuple[tuple[int, int, str], ...] = ()) -> Document:
    return Document(path, "Bees", text, "0" * 64, (), links)


def chunk(text: str, start: int, end: int) -> Chunk:
    return Chunk(f"bees.md#{start}", "bees.md", "Bees", "", None, text[start:end], start, end, ())


def of(passages: Sequence[Chunk]) -> Callable[[int], Chunk | None]:
    return lambda number: passages[number] if number < len(passages) else None


def render(document: Document, passages: Sequence[Chunk], mark: Span | None) -> Markup:
    return render_part(document.text, passages, document.links, mark, is_plain=document.is_plain)


def soup(html: Markup) -> BeautifulSoup:
    return BeautifulSoup(str(html), "html.parser")


def marked(part: Markup) -> str:
    return " ".join(mark.get_text() for mark in soup(part).find_all("mark"))


def letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))


def test_blocks_are_shown_as_such() -> None:
    """Headings below the page's own, lists, tables and code; all else is text."""
    page = soup(render(document(TEXT), [chunk(TEXT, 0, len(TEXT))], None))
    assert [page.h2.get_text(), page.ul.li.get_text(), page.td.get_text(), page.pre.get_text()] == [
        "1Bees", "One", "Sick", "x = 1\n",
    ]  # fmt: skip
    assert page.p.get_text() == "They hum a_b & <dance>. Ask us."
    assert {block.get("dir") for block in page.find_all(["h2", "p", "ul", "table"])} == {"auto"}
    assert {block.get("dir") for block in page.find_all(["li", "td"])} == {None}  # or it would not count for the whole


def test_number_of_a_passage_does_not_break_a_block_of_code() -> None:
    """A passage may begin at its fence, and hold no more than that."""
    text = "Run:\n\n```py\nx = 1\ny = 2\n```\n\nThen go on.\n"
    borders = [0, text.index("```"), text.index("x = 1"), text.rindex("```"), text.index("Then"), len(text)]
    page = soup(render(document(text), [chunk(text, *span) for span in itertools.pairwise(borders)], None))
    assert "y = 2\n" in page.pre.get_text()
    assert "`" not in page.get_text()
    assert page.find_all("p")[-1].get_text().endswith("Then go on.")


def test_what_begins_where_something_ends_stands_beside_it() -> None:
    """A mark after a link, and the number of a passage after a mark; passages are numbered from 1."""
    text = "onetwo"
    page = soup(render(document(text, links=((0, 3, "a.md"),)), [], (3, 6)))
    assert (page.a.get_text(), page.mark.get_text(), page.a.mark) == ("one", "two", None)
    later = replace(chunk(text, 3, 6), chunk_id="bees.md#1")
    page = soup(render(document(text), [later], (0, 3)))
    assert (page.mark.get_text(), page.find(class_="cut")["id"]) == ("one", "p2")


def test_mark_over_several_blocks_marks_the_words_of_each() -> None:
    """No tag goes over the end of a block, a cell or code."""
    start, end = TEXT.index("hum"), TEXT.index(" = 1")
    part = render(document(TEXT), [], (start, end))
    assert marked(part) == "hum a_b & <dance>. Ask us. One Two Kind Days Sick 10 x"
    assert str(part).count('id="marked"') == 1


def test_links_lead_to_addresses_and_documents() -> None:
    """A link goes on under a mark."""
    links = tuple((TEXT.index(word), TEXT.index(word) + len(word), target) for word, target in
                  (("hum", 'https://x.example/?a=1&b="2'), ("Ask us", "my file.md")))  # fmt: skip
    page = soup(render(document(TEXT, links=links), [], (TEXT.index("They"), TEXT.index("&"))))
    assert [(link.get_text(), link["href"]) for link in page.find_all("a")] == [
        ("hum", 'https://x.example/?a=1&b="2'),
        ("Ask us", "/documents/my%20file.md"),
    ]


def test_plain_text_keeps_its_signs_and_lines() -> None:
    """A `#` in it is no heading."""
    page = soup(render(document("# 1\n- a <b>\n", path="a.txt"), [], (2, 8)))
    assert [line.get_text() for line in page.find_all("p")] == ["# 1", "- a <b>"]


def test_part_of_a_document_has_its_own_places() -> None:
    """Passages, links and the mark keep their places in the document; what is outside of the part is left out."""
    text = "First one.\n\nSecond two.\n\n```\nx = 1\n```\n\nThird three."
    fence, third = text.index("```"), text.index("Third")
    passages = [chunk(text, 12, 23), chunk(text, fence, fence + 3), chunk(text, third, len(text))]
    links = [(0, 5, "https://a.example/"), (19, 22, "https://b.example/"), (third, len(text), "c.md")]
    page = soup(render_part(text[12:], passages, links, (5, 18), offset=12, is_plain=False))
    assert page.get_text().split() == ["13Second", "two.", "x", "=", "1", "41Third", "three."]
    assert [mark.get_text() for mark in page.find_all("mark")] == ["Second"]
    assert [(link.get_text(), link["href"]) for link in page.find_all("a")] == [
        ("two", "https://b.example/"),
        ("Third three.", "/documents/c.md"),
    ]


LINES = st.sampled_from(
    ["# A", "- b `c", "  - d", "| e | f |", "| --- | --- |", "```", "g <b> &amp; \\|", "", "1. h", "مرحبا", "日本"]
)


@given(st.lists(LINES | st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), max_size=9)),
       st.integers(0, 60), st.integers(0, 60))  # fmt: skip
def test_marks_are_words_of_the_span_whatever_is_written(lines: list[str], start: int, end: int) -> None:
    """And nothing but the known tags is in the page."""
    text = "\n".join(lines)
    mark = parse_mark({"start": str(start), "end": str(end)}, len(text), of([]))
    part = render(document(text), [], mark)
    span = text[slice(*mark)] if mark else ""
    for words in soup(part).find_all("mark"):
        assert letters(words.get_text()) in letters(span)
    assert {tag.name for tag in soup(part).find_all(True)} <= document_view._TAGS


def test_nonsense_in_the_address_marks_nothing() -> None:
    """A broken link still shows the document."""
    passages = [chunk(TEXT, 0, 18), chunk(TEXT, 18, 29)]
    for arguments in ({}, {"start": "9"}, {"start": "9", "end": "3"}, {"start": "-1", "end": "x"}, {"passage": "2"}):
        assert parse_mark(arguments, len(TEXT), of(passages)) is None
    assert parse_mark({"passage": "1"}, len(TEXT), of(passages)) == (18, 29)
    assert parse_mark({"start": "8", "end": "9999"}, len(TEXT), of(passages)) == (8, len(TEXT))


def test_excerpt_is_one_paragraph_without_headings() -> None:
    """A list shows what a passage says, not its Markdown."""
    assert excerpt("## Hives\n\nOur apiary\nhas 14 hives.") == "Our apiary has 14 hives."
    assert excerpt("one two three", 9) == "one two …"
    assert excerpt("one two", 7) == "one two"
