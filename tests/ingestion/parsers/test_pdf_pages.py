"""The pages of a PDF read as one text: heads and contents go, columns and broken words are put together."""

import io

import pytest
from reportlab.pdfgen.canvas import Canvas

from src.ingestion.parsers.pdf import join_pages, parse_pdf

LEFT = [f"Left line {n} says enough to fill a whole column" for n in range(8)]
RIGHT = [f"Right line {n} says enough to fill its column too" for n in range(8)]


def make_rows(rows: list[tuple[str, ...]], *, head: str = "", column: int = 250, pages: int = 1) -> bytes:
    """Draw a page row by row, across its columns; the other pages are empty."""
    file = io.BytesIO()
    canvas = Canvas(file)
    canvas.setFont("Helvetica", 10)
    if head:
        canvas.drawString(60, 780, head)
    for number, row in enumerate(rows):
        for place, words in enumerate(row):
            canvas.drawString(60 + column * place, 760 - 14 * number, words)
    for _ in range(pages):
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def test_two_columns_are_read_one_after_the_other() -> None:
    """A line over both columns stays above them."""
    head = "A head that goes over both of the columns of this page, from edge to edge and on"
    text = parse_pdf(make_rows(list(zip(LEFT, RIGHT, strict=True)), head=head)).text
    places = [text.index(line) for line in [head, *LEFT, *RIGHT]]
    assert places == sorted(places)


def test_rows_of_a_table_stay_rows() -> None:
    """Short cells beside each other are no columns of prose."""
    rows = [(f"Grade {n}", f"{n} days") for n in range(12)]
    text = parse_pdf(make_rows(rows)).text
    assert [text.index(f"Grade {n}") < text.index(f"{n} days") for n in range(12)] == [True] * 12
    assert text.index("3 days") < text.index("Grade 4")


def test_heads_that_alternate_between_left_and_right_pages_go() -> None:
    """A book's title stands on its left pages, a chapter's on the right ones, with the page's number on either side."""
    rooms = [f"The {name} room." for name in ("red", "blue", "green", "old", "new", "cold", "warm", "last")]
    pages = [
        f"{n} Travel Handbook\n{room}" if n % 2 == 0 else f"Booking a journey {n}\n{room}"
        for n, room in enumerate(rooms, start=1)
    ]
    text, _ = join_pages(pages)
    assert text.count("Travel Handbook") == text.count("Booking a journey") == 1
    assert all(room in text for room in rooms)


def test_row_of_a_table_names_its_columns() -> None:
    """It reads like one of any other format, and the prose around it stays as it is."""
    table = [("City", "Hotel limit", "Meals"), ("Oslo", "$210", "$60"), ("Bergen", "", "$55"), ("Rome", "$180", "$45")]
    prose = ["Limits apply to all trips that last for longer than one night", "and to everybody who travels."]
    rows: list[tuple[str, ...]] = [(line,) for line in prose]
    text = parse_pdf(make_rows([*rows, *table, *rows], column=120)).text
    written = [
        "- City: Oslo; Hotel limit: $210; Meals: $60",
        "- City: Bergen; Meals: $55",
        "- City: Rome; Hotel limit: $180; Meals: $45",
    ]
    assert [line for line in text.split("\n") if line] == [" ".join(prose), *written, " ".join(prose)]


def test_form_keeps_its_words_in_their_order() -> None:
    """A name and what stands beside it are no columns with a head."""
    rows = [("Name", "Ada Park", "Year", "2022"), ("Claim", "SF-1", "Make", "Jeep"), ("Phone", "555", "Trim", "12")]
    assert " ".join(parse_pdf(make_rows(rows, column=100)).text.split()) == " ".join(map(" ".join, rows))


def test_paragraph_goes_on_over_the_end_of_a_page() -> None:
    """What stands in the middle of a sentence there is a page's number, and it goes."""
    pages = [
        "Everyone has the right to\n1",
        "five days of leave. Ask early.\n2",
        "It is paid.\n3",
        "So is sick leave.\n4",
    ]
    text, starts = join_pages(pages)
    assert text.startswith("Everyone has the right to five days of leave.")
    assert [text[start:].split()[0] for start in starts] == ["Everyone", "five", "It", "So"]


def test_words_broken_at_line_ends_are_joined() -> None:
    """In a document that breaks words, one that is nowhere whole is joined too."""
    text, _ = join_pages(["The infor\ufffemation and the docu-\nmentation are here.\nAll information is in one place."])
    assert "The information and the documentation are here." in text


def test_lines_of_a_table_of_contents_go() -> None:
    """They repeat the headings, with dots and numbers."""
    contents = "\n".join(f"Chapter {n} ........ {n}" for n in range(1, 5))
    text, _ = join_pages([f"Handbook\n{contents}", "Welcome to all.", "Ask early.", "Pay late."])
    assert text == "Handbook\n\nWelcome to all.\n\nAsk early.\n\nPay late."


@pytest.mark.parametrize(
    ("numbers", "pages"),
    [
        (("101", "102", "103"), 1),
        (("101", "102", "103"), 11),
        (("3", "1", "2"), 11),
        (("1", "1", "2"), 1),
    ],
)
def test_lists_of_prices_and_of_telephones_stay(numbers: tuple[str, ...], pages: int) -> None:
    """They lead over dots to numbers that are no pages of the file: too high, or down again, or it has just one."""
    names = ("Reception", "Human resources", "Canteen")
    rows = [f"{name} ............. {number}" for name, number in zip(names, numbers, strict=True)]
    text = parse_pdf(make_rows([(row,) for row in rows], pages=pages)).text
    assert [line for line in text.split("\n") if "...." in line] == rows
