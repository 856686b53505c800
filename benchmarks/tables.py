"""How the lab's records are printed for people."""

from collections.abc import Mapping, Sequence

Value = str | int | float | None
Record = Mapping[str, Value]


def as_table(records: Sequence[Record]) -> str:
    """Lay records with the same keys out as a table; where keys outnumber records, a record is a column."""
    names = list(records[0])
    grid = [names, *([_show(record[name]) for name in names] for record in records)]
    if len(records) < len(names):
        grid = [list(line) for line in zip(*grid, strict=True)]
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))])
        for line in grid
    )


def _show(value: Value) -> str:
    if value is None:
        return "-"
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
