"""Rows of a table as sentences that can stand alone.

A row quoted without its header says nothing, and a long table is split into passages far from it. So every row becomes
one list item that names its columns: `- City: Oslo; Limit: 60`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

_NUMBER = re.compile(r"[-+($€£¥\s]*\d[\d.,\s]*(?:%|[KMB]|[A-Z]{3})?\)?")


def render_rows(rows: Iterable[Sequence[str]]) -> str:
    """Render a sheet: tables are told apart by blank rows, a row of one cell above a table is a line of text."""
    blocks = ["\n".join(_render_table(table)).strip() for table in _split_tables(rows)]
    return "\n\n".join(block for block in blocks if block)


def _split_tables(rows: Iterable[Sequence[str]]) -> Iterator[list[list[str]]]:
    table: list[list[str]] = []
    for row in rows:
        cells = [" ".join(cell.split()) for cell in row]
        if any(cells):
            table.append(cells)
        elif table:
            yield table
            table = []
    if table:
        yield table


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
        and not any(_NUMBER.fullmatch(name) and not _is_year(name) for name in names)
    )


def _is_year(text: str) -> bool:
    return len(text) == 4 and text.isdigit() and text[:2] in ("19", "20")


def _filled(row: Sequence[str]) -> int:
    return sum(bool(cell) for cell in row)
