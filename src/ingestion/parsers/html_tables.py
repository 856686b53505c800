"""Rows of an HTML table whose cells reach over several rows: Markdown has no such cells, so each row gets its own."""

from copy import copy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bs4 import Tag

# A longer text is not repeated: an empty cell holds its place.
_LONGEST_COPY_CHARS = 200
# A page may claim that all its cells reach over all its rows: there are no more copies than that for each cell.
_COPIES_PER_CELL = 3
# In a column: the cell that reaches down from the row above, and over how many rows.
_Reaching = dict[int, tuple["Tag", int]]


def fill_spanned_cells(table: "Tag") -> None:
    """Copy a cell into each row that it reaches over."""
    copies_left = _COPIES_PER_CELL * len(table.find_all(["td", "th"]))
    reaching: _Reaching = {}
    part = None
    for row in table.find_all("tr"):
        if row.parent is not part:  # a cell ends with the head or body that it stands in
            part, reaching = row.parent, {}
        if copies_left < len(reaching):
            return
        copies_left -= len(reaching)
        reaching = _fill(row, reaching)


def _fill(row: "Tag", reaching: _Reaching) -> _Reaching:
    """Put copies between a row's cells, and tell which cells reach into the next row."""
    below: _Reaching = {}
    column = 0
    cells = row.find_all(["td", "th"], recursive=False)
    for cell in [*cells, None] if cells else ():
        while column in reaching:
            above = _copy(reaching[column][0])
            _ = cell.insert_before(above) if cell else row.append(above)
            column += _span(above, "colspan")
        if cell:
            below[column] = cell, _span(cell, "rowspan")
            column += _span(cell, "colspan")
    below |= reaching
    return {at: (cell, rows - 1) for at, (cell, rows) in below.items() if rows > 1}


def _copy(cell: "Tag") -> "Tag":
    made = copy(cell)
    if len(made.get_text()) > _LONGEST_COPY_CHARS:
        made.clear()
    return made


def _span(cell: "Tag", name: str) -> int:
    """Return over how many rows or columns a cell reaches; as a browser does, at most 1000 columns."""
    value = str(cell.get(name, ""))
    return max(1, min(1000, int(value))) if value.isdecimal() and len(value) < 6 else 1


def columns_of(row: "Tag") -> int:
    """Return how many columns a row has."""
    return sum(_span(cell, "colspan") for cell in row.find_all(["td", "th"]))
