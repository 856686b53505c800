"""Tables, CSV and Excel: each row becomes a sentence that can stand alone.

A row quoted without its header says nothing, and a long table is split into chunks far from it. So every row becomes
one list item that names its columns: `- City: Oslo; Limit: 60`.
"""

import csv
import datetime
import io
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from src.errors import UnreadableDocument
from src.ingestion.parsers.archive import check_archive, reading
from src.ingestion.parsers.parsed import Parsed, decode, tidy

_DELIMITERS = ",;\t|"
_SAMPLE_CHARS = 20_000
_NUMBER = re.compile(r"[-+($€£¥\s]*\d[\d.,\s]*(?:%|[KMB]|[A-Z]{3})?\)?")


def parse_csv(data: bytes) -> Parsed:
    """Parse a table with whatever separates its cells: comma, semicolon, tab or bar.

    Raises:
        UnreadableDocument: it is not text, or a cell never ends.
    """
    text = decode(data)
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=_find_delimiter(text))
        return Parsed(render_rows(rows) + "\n")
    except csv.Error as exc:
        raise UnreadableDocument(f"it is not a readable .csv file ({exc})") from exc


def _find_delimiter(text: str) -> str:
    try:
        return csv.Sniffer().sniff(text[:_SAMPLE_CHARS], _DELIMITERS).delimiter
    except csv.Error:
        first = text.split("\n", 1)[0]
        return max(_DELIMITERS, key=first.count)


def parse_xlsx(data: bytes) -> Parsed:
    """Parse all visible sheets: a heading for each, formulas as their values.

    Raises:
        UnreadableDocument: encrypted, of the old binary format, broken, or far too large when unpacked.
    """
    import openpyxl

    check_archive(data, ".xlsx")
    with reading(".xlsx"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of styles and extensions that openpyxl leaves out
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        visible = (sheet for sheet in book.worksheets if sheet.sheet_state == "visible")
        sheets = [(sheet.title, render_rows(_sheet_rows(sheet))) for sheet in visible]
        title = tidy(book.properties.title or "").strip()
        book.close()
    return Parsed("\n\n".join(f"## {name}\n\n{rows}" for name, rows in sheets if rows) + "\n", title)


def _sheet_rows(sheet: Any) -> Iterator[list[str]]:
    sheet.reset_dimensions()  # what the file says of its size may be wrong
    for row in sheet.iter_rows(values_only=True):
        yield [_cell_text(value) for value in row]


def _cell_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    return tidy(str(value))


def render_rows(rows: Iterable[Sequence[str]]) -> str:
    """Render a sheet: blank rows part its tables; a row of one cell above a table is a line of text."""
    clean_rows = ([" ".join(cell.split()) for cell in row] for row in rows)
    tables = (list(table) for has_text, table in groupby(clean_rows, any) if has_text)
    blocks = ["\n".join(_render_table(table)).strip() for table in tables]
    return "\n\n".join(block for block in blocks if block)


def _render_table(table: list[list[str]]) -> Iterator[str]:
    while table and _filled(table[0]) == 1 and (len(table) == 1 or _filled(table[1]) > 1):
        yield next(cell for cell in table[0] if cell) + "\n"
        table = table[1:]
    header = table[0] if table and _is_header(table) else []
    for row in table[1:] if header else table:
        names = [*header, *[""] * (len(row) - len(header))]
        cells = [f"{name}: {cell}" if name else cell for name, cell in zip(names, row, strict=False) if cell]
        if cells:
            is_pair = not header and len(cells) == 2
            yield "- " + (": " if is_pair else "; ").join(cells)


def _is_header(table: list[list[str]]) -> bool:
    """Whether the first row names the columns: words, each once, in most of the columns."""
    names = [cell for cell in table[0] if cell]
    widest = max(map(_filled, table))
    return (
        len(table) > 1
        and 2 * len(names) > widest
        and len(set(names)) == len(names)
        and not any(is_number(name) and not _is_year(name) for name in names)
    )


def is_number(cell: str) -> bool:
    """Tell an amount, a share or a number."""
    return _NUMBER.fullmatch(cell) is not None


def _is_year(text: str) -> bool:
    return len(text) == 4 and text.isdigit() and text[:2] in ("19", "20")


def _filled(row: Sequence[str]) -> int:
    return sum(bool(cell) for cell in row)
