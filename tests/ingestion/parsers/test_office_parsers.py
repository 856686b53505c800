"""Slides, sheets and books: each gives what a person sees in it, in sentences that can stand alone."""

import datetime
import io
import zipfile
from collections.abc import Callable

import docx
import openpyxl
import pptx
import pytest

from src.errors import UnreadableDocument
from src.ingestion.parsers.epub import parse_epub
from src.ingestion.parsers.parsed import Parsed
from src.ingestion.parsers.pptx import parse_pptx
from src.ingestion.parsers.tables import parse_csv, parse_xlsx, render_rows

OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512


def make_xlsx(**sheets: list[list[object]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def make_epub(*chapters: str, **extra: str) -> bytes:
    manifest = "".join(
        f'<item id="c{n}" href="c%20{n}.xhtml" media-type="application/xhtml+xml"/>' for n in range(len(chapters))
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in reversed(range(len(chapters))))
    parts = {
        "META-INF/container.xml": '<container><rootfiles><rootfile full-path="book/p.opf"/></rootfiles></container>',
        "book/p.opf": f"<package><metadata><title>Manual</title></metadata><manifest>{manifest}</manifest>"
        f"<spine>{spine}</spine></package>",
        **{f"book/c {n}.xhtml": text for n, text in enumerate(chapters)},
        **extra,
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return file.getvalue()


def make_pptx() -> bytes:
    show = pptx.Presentation()
    first = show.slides.add_slide(show.slide_layouts[1])
    first.shapes.title.text = "Leave"
    first.placeholders[1].text = "25 days\nAsk your manager"
    first.notes_slide.notes_text_frame.text = "Mention the deadline."
    second = show.slides.add_slide(show.slide_layouts[5])
    second.shapes.title.text = "Limits"
    size = [pptx.util.Inches(1)] * 4
    table = second.shapes.add_table(2, 2, *size).table
    for place, text in {(0, 0): "City", (0, 1): "Limit", (1, 0): "Oslo", (1, 1): "60"}.items():
        table.cell(*place).text = text
    file = io.BytesIO()
    show.save(file)
    return file.getvalue()


def test_row_names_its_columns() -> None:
    """A row is quoted without its header, far from it in a long table."""
    rows = [["City", "Limit"], ["Oslo", "60"], ["Rome\nand Milan", ""]]
    assert render_rows(rows) == "- City: Oslo; Limit: 60\n- City: Rome and Milan"


def test_tables_of_a_sheet_are_told_apart() -> None:
    """A blank row ends a table, a row of one cell above one is its caption, a first row of figures is no header."""
    rows = [["Fees", ""], ["City", "Fee"], ["Oslo", "6"], ["", ""], ["Total revenue", "$500,000"], ["Profit", "$20"]]
    assert render_rows(rows) == "Fees\n\n- City: Oslo; Fee: 6\n\n- Total revenue: $500,000\n- Profit: $20"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_is_read_with_its_delimiter(delimiter: str) -> None:
    """Excel writes what the country uses."""
    rows = [["City", "Limit", "Note"], ["Oslo", "60", "a b"], ["Rome", "55", "c"]]
    data = "\r\n".join(delimiter.join(row) for row in rows).encode()
    assert parse_csv(data).text == "- City: Oslo; Limit: 60; Note: a b\n- City: Rome; Limit: 55; Note: c\n"


def test_csv_with_a_cell_that_never_ends_is_refused() -> None:
    """Python's csv module gives up on a cell over 131,072 characters."""
    with pytest.raises(UnreadableDocument, match="larger than field limit"):
        parse_csv(b'a,b\n"' + b"x," * 100_000)


def test_xlsx_gives_a_heading_for_each_sheet_and_values_as_seen() -> None:
    """Whole numbers have no point, dates no midnight; a sheet without cells is not there."""
    data = make_xlsx(Fees=[["City", "Fee", "From"], ["Oslo", 6.0, datetime.datetime(2024, 3, 1)]], Empty=[])
    assert parse_xlsx(data).text == "## Fees\n\n- City: Oslo; Fee: 6; From: 2024-03-01\n"


def test_pptx_gives_slides_as_pages_with_lists_tables_and_notes() -> None:
    """A citation can name the slide."""
    parsed = parse_pptx(make_pptx())
    first, second = (parsed.text[start:] for start in parsed.page_starts)
    assert first.startswith("## Leave\n\n- 25 days\n- Ask your manager\n\nMention the deadline.\n\n")
    assert second == "## Limits\n\n- City: Oslo; Limit: 60"


def test_epub_gives_its_chapters_in_reading_order() -> None:
    """The spine decides, not the names."""
    parsed = parse_epub(make_epub("<h1>Two</h1>", "<h1>One</h1><p>Text.</p>"))
    assert (parsed.title, parsed.text) == ("Manual", "# One\n\nText.\n\n# Two\n")


def test_chapter_may_stand_beside_the_folder_of_the_package() -> None:
    """Its place is then written with `..`, which no archive knows."""
    item = '<item id="c" href="../text/c.xhtml" media-type="application/xhtml+xml"/>'
    package = f'<package><manifest>{item}</manifest><spine><itemref idref="c"/></spine></package>'
    assert parse_epub(make_epub(**{"book/p.opf": package, "text/c.xhtml": "<p>Text.</p>"})).text == "Text.\n"


def test_footnotes_of_a_book_stay() -> None:
    """An EPUB writes them as asides."""
    chapter = "<html><body><p>Text.</p><aside epub:type='footnote'><p>A note.</p></aside></body></html>"
    assert parse_epub(make_epub(chapter)).text == "Text.\n\nA note.\n"


def test_protected_epub_is_refused() -> None:
    """Its chapters are noise."""
    with pytest.raises(UnreadableDocument, match="DRM"):
        parse_epub(make_epub("<p>x</p>", **{"META-INF/rights.xml": "<rights/>"}))


@pytest.mark.parametrize(("parse", "suffix"), [(parse_xlsx, ".xlsx"), (parse_pptx, ".pptx"), (parse_epub, ".epub")])
@pytest.mark.parametrize("data", [b"PK\x03\x04", b"nothing like it", make_epub()[:200]])
def test_broken_archive_is_refused(parse: Callable[[bytes], Parsed], suffix: str, data: bytes) -> None:
    """Half an archive is not a document."""
    with pytest.raises(UnreadableDocument, match=rf"not a readable \{suffix}"):
        parse(data)


@pytest.mark.parametrize("parse", [parse_xlsx, parse_pptx])
def test_archive_of_another_format_is_refused(parse: Callable[[bytes], Parsed]) -> None:
    """A renamed file is found out."""
    with pytest.raises(UnreadableDocument, match="not a readable"):
        parse(make_epub("<p>x</p>"))


def test_word_file_named_as_slides_is_refused_with_the_same_words_each_time() -> None:
    """The manifest keeps them, so a place in memory would make each build another one."""
    file = io.BytesIO()
    docx.Document().save(file)
    reasons = []
    for _ in range(2):
        with pytest.raises(UnreadableDocument) as caught:
            parse_pptx(file.getvalue())
        reasons.append(str(caught.value))
    assert reasons[0] == reasons[1]
    assert "is not a PowerPoint file" in reasons[0]
    assert "0x" not in reasons[0]


@pytest.mark.parametrize("parse", [parse_xlsx, parse_pptx])
def test_encrypted_office_file_is_refused_with_what_to_do(parse: Callable[[bytes], Parsed]) -> None:
    """Office wraps an encrypted file into the container of the old format."""
    with pytest.raises(UnreadableDocument, match="encrypted or of the old"):
        parse(OLD_OFFICE)
