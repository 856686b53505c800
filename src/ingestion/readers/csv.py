"""CSV: each row a sentence that names its columns."""

import csv
import io

from src.errors import UnreadableDocument
from src.ingestion.readers.reading import Reading, decode
from src.ingestion.readers.tables import render_rows

_DELIMITERS = ",;\t|"
_SAMPLE_CHARS = 20_000


def read_csv(data: bytes) -> Reading:
    """Read a table with whatever separates its cells: comma, semicolon, tab or bar.

    Raises:
        UnreadableDocument: it is not text, or a cell never ends.
    """
    text = decode(data)
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=_find_delimiter(text))
        return Reading(render_rows(rows) + "\n")
    except csv.Error as exc:
        raise UnreadableDocument(f"it is not a readable .csv file ({exc})") from exc


def _find_delimiter(text: str) -> str:
    try:
        return csv.Sniffer().sniff(text[:_SAMPLE_CHARS], _DELIMITERS).delimiter
    except csv.Error:
        first = text.split("\n", 1)[0]
        return max(_DELIMITERS, key=first.count)
