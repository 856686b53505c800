"""Each parser gives the text a person sees in the file, and says why where it cannot."""

import io
import zipfile
from contextlib import suppress

import pytest
from docx import Document as WordDocument
from docx.oxml import OxmlElement
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from src.errors import UnreadableDocument
from src.ingestion.parsers.docx import parse_docx
from src.ingestion.parsers.html import parse_html
from src.ingestion.parsers.parsed import decode, tidy
from src.ingestion.parsers.pdf import join_lines, parse_pdf
from src.ingestion.parsers.text import parse_markdown, parse_text


def make_pdf(*pages: list[str], encrypt: StandardEncryption | None = None, title: str = "") -> bytes:
    file = io.BytesIO()
    canvas = Canvas(file, encrypt=encrypt)
    if title:
        canvas.setTitle(title)
    for page in pages:
        for number, line in enumerate(page):
            canvas.drawString(72, 760 - 14 * number, line)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def make_docx(*, title: str = "") -> WordDocument:
    document = WordDocument()
    document.core_properties.title = title
    return document


def to_bytes(document: WordDocument) -> bytes:
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def test_windows_line_ends_become_newlines() -> None:
    """Spans are counted in text whose lines end with one character."""
    assert parse_text(b"one\r\ntwo\rthree\n").text == "one\ntwo\nthree\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_text_in_a_known_encoding_is_decoded(encoding: str) -> None:
    """A byte order mark tells the encoding; without one it is UTF-8, or else what Windows wrote."""
    assert decode("Café – 5 €".encode(encoding)) == "Café – 5 €"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("shift_jis", "従業員には年に20日の有給休暇があります。申請は二週間前までに行います。"),
        ("gb18030", "每位员工每年有15天年假。申请须提前两周在人事系统提交。"),
        ("euc_kr", "모든 직원은 매년 20일의 휴가를 받습니다. 신청은 2주 전에 합니다."),
        ("cp1251", "Каждый сотрудник имеет право на 28 дней отпуска в год."),
        ("cp1256", "لكل موظف 25 يوما من الإجازة السنوية. يقدم الطلب قبل أسبوعين."),
    ],
)
def test_old_encoding_of_another_script_is_told(encoding: str, text: str) -> None:
    """A file from before Unicode reads as it was written."""
    assert decode(text.encode(encoding)) == text


def test_single_bytes_of_another_encoding_do_not_spoil_the_rest() -> None:
    """Somebody pasted Windows-1252 into a UTF-8 file."""
    data = "Grüße aus Zürich, schöne Größe".encode() + "; café".encode("cp1252")
    assert decode(data) == "Grüße aus Zürich, schöne Größe; café"


def test_binary_data_in_a_text_file_is_refused() -> None:
    """A renamed picture is not a document."""
    with pytest.raises(UnreadableDocument, match="not text"):
        decode(b"\x89PNG\r\n\x00\x00\x00")


def test_broken_utf16_is_refused() -> None:
    """A byte order mark that the rest does not keep is named."""
    with pytest.raises(UnreadableDocument, match="utf-16"):
        decode(b"\xff\xfea")


def test_front_matter_gives_the_title_and_leaves_the_text() -> None:
    """Front matter is about the document, not of it."""
    parsed = parse_markdown(b'---\ntitle: "Leave: how it works"\ntags: [hr]\n---\n# Leave\n\nText.\n')
    assert (parsed.title, parsed.text) == ("Leave: how it works", "# Leave\n\nText.\n")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("---\n\nTwo rules around prose.\n\n---\n\nMore.\n", "Two rules around prose.\n\nMore.\n"),
        ("---\ntitle: never closed\n\nText\n", "title: never closed\n\nText\n"),
    ],
)
def test_a_rule_at_the_top_is_not_front_matter(source: str, text: str) -> None:
    """Only `key:` lines between two rules are front matter."""
    assert parse_markdown(source.encode()).text == text


def test_html_gives_its_main_content_without_navigation() -> None:
    """What frames every page of a site is not content."""
    page = b"""<html><head><title>Leave - Acme Site</title><style>p {color: red}</style></head><body>
      <nav><a href="/">Home</a></nav><header>Acme</header><aside>See also</aside>
      <main><h1>Leave<a class="headerlink" href="#l">&para;</a></h1><p>You get <b>25</b> days of
      <a href="/max">max_leave</a>.</p><ul><li>one</li><li>two</li></ul><script>alert(1)</script></main>
      <footer>Imprint</footer></body></html>"""
    parsed = parse_html(page)
    assert parsed.title == "Leave"
    assert parsed.text == "# Leave\n\nYou get 25 days of max_leave.\n\n- one\n- two\n"
    assert [(parsed.text[start:end], href) for start, end, href in parsed.links] == [("max_leave", "/max")]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<form><h1>Fees</h1><p>None.</p></form>", "# Fees\n\nNone.\n"),
        ("<form><div>No fees.</div><select><option>Oslo</select></form>", "No fees.\n"),
        ("<main><p>Ask early.</p><aside>Monday is best.</aside></main>", "Ask early.\n\nMonday is best.\n"),
        ("<section><header><h2>Second</h2></header><p>x</p></section>", "## Second\n\nx\n"),
        ("<h3><button>Who?</button></h3><div hidden>Ann.</div>", "### Who?\n\nAnn.\n"),
        ("<details><summary><button>Who?</button></summary>Ann.</details>", "Who?\n\nAnn.\n"),
        ("<section aria-hidden='true'><p>Of the second tab.</p></section>", "Of the second tab.\n"),
    ],
)
def test_content_stays_whatever_element_holds_it(body: str, text: str) -> None:
    """Pages in a form, notes, headings in a box or a button, and answers that open on a click are read by people."""
    assert parse_html(body).text == text


@pytest.mark.parametrize(
    "clutter",
    [
        "<form><label>Search</label><input><button>Go</button></form>",
        "<aside>See also</aside>",
        "<header>Acme<nav><h2>Menu</h2></nav></header>",
        "<main><aside><nav>On this page</nav></aside></main>",
        "<h2>Fees<button>Copy link</button></h2>",
        "<p>x<i aria-hidden='true'>star</i><span hidden>y</span></p>",
    ],
)
def test_what_frames_a_page_is_left_out(clutter: str) -> None:
    """What a form or a box holds for its use, and icons, are not content."""
    words = parse_html(f"{clutter}<p>None.</p>").text.split()
    assert set(words) <= {"##", "Fees", "x", "None."}


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (
            "<main><p>We repair bikes in two days.</p><article>News</article></main>",
            "We repair bikes in two days.\n\nNews\n",
        ),
        ("<p>by Ann Lee</p><article><p>We repair bikes in two days.</p></article>", "We repair bikes in two days.\n"),
        ("<p>Five more words of others</p><article><h1>Bikes</h1></article>", "# Bikes\n"),
        (
            "<h1>Bikes</h1><p>We repair them.</p><article><h1>News</h1></article>",
            "# Bikes\n\nWe repair them.\n\n# News\n",
        ),
    ],
)
def test_single_article_is_the_text_if_it_is_most_of_the_page(page: str, text: str) -> None:
    """One that holds the heading or most words is what the page is for; another is a part of it."""
    assert parse_html(page).text == text


def test_html_without_a_heading_keeps_its_title() -> None:
    """The <title> stands where there is no <h1>."""
    assert parse_html(b"<title>Fees\n 2024</title><p>None.</p>").title == "Fees 2024"


def test_html_tables_become_markdown_tables() -> None:
    """A row stays a row."""
    table = b"<table><tr><th>Leave</th><th>Days</th></tr><tr><td>Sick</td><td>10</td></tr></table>"
    assert "| Leave | Days |\n| --- | --- |\n| Sick | 10 |" in parse_html(table).text


@pytest.mark.parametrize("before", ["<caption>Leave</caption>", "<colgroup><col><col></colgroup>"])
def test_what_stands_before_the_rows_leaves_a_table_whole(before: str) -> None:
    """A caption is a paragraph before the table."""
    rows = "<tr><th>Kind</th><th>Days</th></tr><tr><td>Sick</td><td>10</td></tr>"
    caption = "Leave\n\n" if "Leave" in before else ""
    expected = f"{caption}| Kind | Days |\n| --- | --- |\n| Sick | 10 |\n"
    assert parse_html(f"<table>{before}{rows}</table>").text == expected


def test_several_bodies_are_one_table() -> None:
    """Only the first row of a table is its head."""
    bodies = "".join(f"<tbody><tr><td>{kind}</td><td>{kind} days</td></tr></tbody>" for kind in ("Sick", "Paid"))
    text = parse_html(f"<table><thead><tr><th>Kind</th><th>Of</th></tr></thead>{bodies}</table>").text
    assert text == "| Kind | Of |\n| --- | --- |\n| Sick | Sick days |\n| Paid | Paid days |\n"


def test_cells_to_the_right_of_the_head_stay() -> None:
    """A head with too few names does not cut the rows."""
    table = "<table><tr><th>Kind</th></tr><tr><td>Sick</td><td>10</td></tr></table>"
    assert parse_html(table).text == "| Kind |  |\n| --- | --- |\n| Sick | 10 |\n"


def test_cell_over_several_rows_stands_in_each() -> None:
    """Every value stays under the name of its column."""
    rows = (
        "<tr><th rowspan=2>City</th><th colspan=2>Limit</th></tr><tr><th>Meal</th><th>Bed</th></tr></thead>"
        "<tr><td rowspan=2>Oslo</td><td>60</td><td rowspan=3>200</td></tr><tr><td>70</td></tr>"
        "<tr><td>Rome</td><td>50</td></tr>"
    )
    assert parse_html(f"<table><thead>{rows}</table>").text == (
        "| City | Limit |  |\n| --- | --- | --- |\n| City | Meal | Bed |\n"
        "| Oslo | 60 | 200 |\n| Oslo | 70 | 200 |\n| Rome | 50 | 200 |\n"
    )


def test_merged_cells_of_word_stand_in_each_row() -> None:
    """Word merges cells downwards, too."""
    document = make_docx()
    table = document.add_table(rows=3, cols=2)
    table.cell(1, 0).merge(table.cell(2, 0)).text = "Oslo"
    for row, (first, second) in enumerate([("City", "Limit"), ("", "Low"), ("", "High")]):
        table.cell(row, 0).text = first or "Oslo"
        table.cell(row, 1).text = second
    assert parse_docx(to_bytes(document)).text == ("| City | Limit |\n| --- | --- |\n| Oslo | Low |\n| Oslo | High |\n")


def test_cells_over_all_rows_do_not_swell_a_table() -> None:
    """A page may claim thousands of rows for each cell, and neither memory nor time follows."""
    page = "<table><tr>" + "<td rowspan=9999>x" * 1000 + "<tr><td>y" * 1000
    assert len(parse_html(page).text) < 40 * len(page)


@pytest.mark.parametrize(
    ("first", "others", "is_head"),
    [
        ("January 1", ("first Monday in September", "November 11", "December 24"), False),
        ("$95", ("$1,210", "$80"), False),
        ("EUR 20", ("EUR 30", "EUR 40"), False),
        ("Date", ("November 11", "December 24"), True),
        ("2026", ("$1,210", "$80"), True),
        ("Year 1", ("EUR 30", "EUR 40"), True),
        ("Q4", ("November 11", "December 24"), True),
    ],
)
def test_first_row_is_the_head_unless_a_number_stands_in_it_as_in_the_others(
    first: str, others: tuple[str, ...], is_head: bool
) -> None:
    """HTML need not mark a head, and Markdown always has one: an empty one where the first row is data."""
    rows = "".join(f"<tr><td>Words</td><td>{cell}</td></tr>" for cell in (first, *others))
    text = parse_html(f"<table>{rows}</table>").text
    head, _, *body = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert head == (["Words", first] if is_head else ["", ""])
    assert [cell for _, cell in body] == [*(() if is_head else (first,)), *others]


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ("", "utf-8"),
        ("", "utf-8-sig"),
        ("", "utf-16"),
        ("<meta charset='iso-8859-1'>", "utf-8"),
        ("<meta charset='iso-8859-1'>", "iso-8859-1"),
        ("<?xml version='1.0' encoding='utf-8'?>", "utf-8"),
    ],
)
def test_html_is_read_as_utf8_where_its_bytes_are(head: str, encoding: str) -> None:
    """Nothing else looks like UTF-8, so it needs no announcement and wins over a wrong one."""
    assert parse_html(f"{head}<h1>Menu à 20, à 30</h1>".encode(encoding)).text == "# Menu à 20, à 30\n"


def test_html_in_an_encoding_of_ascii_bytes_is_read_as_it_declares() -> None:
    """Japanese of old mail programs is written in ASCII alone."""
    page = "<meta charset='iso-2022-jp'><h1>休暇</h1>".encode("iso-2022-jp")
    assert parse_html(page).text == "# 休暇\n"


def test_deeply_nested_html_neither_crashes_nor_hangs() -> None:
    """A page of ten thousand open elements is read or refused."""
    with suppress(UnreadableDocument):
        assert "deep" in parse_html(b"<div>" * 10_000 + b"deep").text


def test_pdf_pages_begin_where_page_starts_says() -> None:
    """A chunk's page is found by its place in the text."""
    parsed = parse_pdf(make_pdf(["First page."], [], ["Third page."], title="Travel policy"))
    assert parsed.title == "Travel policy"
    assert len(parsed.page_starts) == 3
    assert parsed.text[parsed.page_starts[0] :].startswith("First page.")
    assert parsed.text[parsed.page_starts[2] :] == "Third page."


def test_running_heads_feet_and_page_numbers_of_a_pdf_are_left_out() -> None:
    """They frame every page. The head stays once, for what it says; the number of the first page is 3 here."""
    rooms = [f"The {name} room." for name in ("red", "blue", "green", "old", "new")]
    pages = [["Acme Travel Policy", room, f"Page {n} of 7", "Confidential"] for n, room in enumerate(rooms, start=3)]
    parsed = parse_pdf(make_pdf(*pages))
    assert parsed.text == "\n\n".join(["Acme Travel Policy", rooms[0], "Confidential", *rooms[1:]])
    assert [parsed.text[start:].split("\n")[0] for start in parsed.page_starts[1:]] == rooms[1:]


@pytest.mark.parametrize("number", ["{}", "- {} -", "{} / 3"])
def test_lone_page_numbers_of_a_short_pdf_are_left_out(number: str) -> None:
    """Two pages that count are enough."""
    pages = [["A room.", number.format(page)] for page in (1, 2, 3)]
    assert parse_pdf(make_pdf(*pages)).text == "A room.\n\nA room.\n\nA room."


@pytest.mark.parametrize(
    "pages",
    [
        [
            ["Invoice 8107", "For Ann."],
            ["Invoice 8241", "For Bob."],
            ["Invoice 9000", "For Eve."],
            ["Invoice 9001", "-"],
        ],
        [["Total", "41"], ["Total", "7"], ["Total", "112"], ["Total", "5"]],
        [["Background"], ["Background"], ["Background"], ["Background"]],
        [["Fees", "None."], ["Fees", "Many."], ["Fees", "Two."]],
    ],
)
def test_lines_that_tell_pages_apart_stay(pages: list[list[str]]) -> None:
    """Numbers that do not count pages, the only line of a page, and what two or three pages happen to share."""
    text = parse_pdf(make_pdf(*pages)).text
    assert all(lines[-1] in text for lines in pages)
    assert sum(text.count(lines[0]) for lines in pages) >= len(pages)


def test_encrypted_pdf_is_refused_with_what_to_do() -> None:
    """The person learns that a password is in the way."""
    with pytest.raises(UnreadableDocument, match="encrypted; save it without a password"):
        parse_pdf(make_pdf(["Secret."], encrypt=StandardEncryption("user", "owner")))


def test_pdf_without_text_is_refused_with_what_to_do() -> None:
    """A scan needs text recognition, which is not done here."""
    with pytest.raises(UnreadableDocument, match=r"no text.*OCR"):
        parse_pdf(make_pdf([]))


@pytest.mark.parametrize("data", [b"%PDF-1.7 and no more", b"nothing like it"])
def test_broken_pdf_is_refused(data: bytes) -> None:
    """Half a file is not a document."""
    with pytest.raises(UnreadableDocument, match="broken"):
        parse_pdf(data)


def test_working_title_of_a_pdf_is_no_title() -> None:
    """Programs write their file's name where a title should be."""
    assert parse_pdf(make_pdf(["Text."], title="Microsoft Word - final_v3.docx")).title == ""


def test_lines_of_a_paragraph_are_joined_and_items_are_not() -> None:
    """A line that reaches the right edge goes on; a short one, a list item and a heading do not."""
    page = (
        "Everyone has twenty-five days of paid leave in each\r\ncalendar year, and may carry five of them over.\r\n"
        "Carrying over\r\nAsk your manager by December for what is left over:\r\n"
        "• five days at the most of the allowance left\r\n• none of them after March"
    )
    assert join_lines(page, frozenset()) == (
        "Everyone has twenty-five days of paid leave in each calendar year, and may carry five of them over.\n"
        "Carrying over\nAsk your manager by December for what is left over:\n"
        "• five days at the most of the allowance left\n• none of them after March"
    )


def test_word_broken_at_a_line_end_is_mended_as_the_document_writes_it() -> None:
    """A hyphen goes only where the document knows the word without it."""
    words = frozenset({"information"})
    assert join_lines("infor\ufffemation on cutting\ufffeedge parts", words) == "information on cutting-edge parts"


def test_docx_gives_headings_lists_and_tables_as_markdown() -> None:
    """Word's structure becomes Markdown's."""
    document = make_docx(title="Expense policy")
    document.add_heading("Limits", level=1)
    document.add_paragraph("Meals are paid up to $45.")
    document.add_paragraph("Keep receipts", style="List Bullet")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip([*table.rows[0].cells, *table.rows[1].cells], ["City", "Limit", "Oslo", "60"], strict=True):
        cell.text = text
    parsed = parse_docx(to_bytes(document))
    assert parsed.title == "Expense policy"
    assert parsed.text.startswith("# Limits\n\nMeals are paid up to $45.\n\n- Keep receipts\n")
    assert "| City | Limit |\n| --- | --- |\n| Oslo | 60 |" in parsed.text


@pytest.mark.parametrize("repeats_on_pages", [False, True])
def test_bold_names_of_columns_are_plain(repeats_on_pages: bool) -> None:
    """A quoted row repeats them; a header that Word repeats on each page is told apart."""
    document = make_docx()
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip([*table.rows[0].cells, table.rows[1].cells[0]], ["City", "Limit", "Oslo"], strict=True):
        cell.paragraphs[0].add_run(text).bold = True
    table.rows[1].cells[1].text = "60"
    if repeats_on_pages:
        table.rows[0]._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))
    assert parse_docx(to_bytes(document)).text == "| City | Limit |\n| --- | --- |\n| Oslo | 60 |\n"


def test_encrypted_docx_is_refused_with_what_to_do() -> None:
    """Word wraps an encrypted document into the container of the old format."""
    with pytest.raises(UnreadableDocument, match=r"encrypted or of the old \.doc format"):
        parse_docx(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512)


def test_broken_docx_is_refused() -> None:
    """Half an archive, or one without a document in it, is not a document."""
    whole = to_bytes(make_docx())
    empty = io.BytesIO()
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("hello.txt", "hello")
    for data in (whole[: len(whole) // 2], b"PK\x03\x04", empty.getvalue()):
        with pytest.raises(UnreadableDocument, match=r"not a readable \.docx"):
            parse_docx(data)


def test_archive_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What unpacks to more than the limit is not unpacked."""
    monkeypatch.setattr("src.ingestion.parsers.archive.MAX_UNPACKED_BYTES", 10)
    with pytest.raises(UnreadableDocument, match="unpacks to more"):
        parse_docx(to_bytes(make_docx()))


@pytest.mark.parametrize("html", ["<p>half \ud83d of one</p>", "<p>half &#xD83D; of one</p>"])
def test_half_of_a_character_does_not_reach_the_index(html: str) -> None:
    """SQLite and the tokenizer take none, and the build must not stop at one."""
    assert "half" in tidy(html)
    tidy(html).encode()
    parse_html(html.encode("utf-8", "surrogatepass")).text.encode()
