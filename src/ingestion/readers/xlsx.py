"""Excel workbooks: a heading for each sheet, each row a sentence that names its columns; formulas as their values."""

import datetime
import io
import warnings
from collections.abc import Iterator
from typing import Any

from src.ingestion.readers.archive import BROKEN_FILE_ERRORS, check_archive, not_readable
from src.ingestion.readers.reading import Reading, tidy
from src.ingestion.readers.tables import render_rows


def read_xlsx(data: bytes) -> Reading:
    """Read all visible sheets.

    Raises:
        UnreadableDocument: encrypted, of the old binary format, broken, or far too large when unpacked.
    """
    import openpyxl

    check_archive(data, ".xlsx")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and extensions that openpyxl leaves out
            book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
            sheets = [(sheet.title, render_rows(_rows(sheet))) for sheet in book.worksheets if _is_visible(sheet)]
            title = tidy(book.properties.title or "").strip()
            book.close()
    except BROKEN_FILE_ERRORS as exc:
        raise not_readable(".xlsx", exc) from exc
    return Reading("\n\n".join(f"## {name}\n\n{rows}" for name, rows in sheets if rows) + "\n", title)


def _is_visible(sheet: Any) -> bool:
    return bool(sheet.sheet_state == "visible")


def _rows(sheet: Any) -> Iterator[list[str]]:
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
