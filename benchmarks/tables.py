"""The arithmetic of the lab, and how its records are printed: a table for people, JSON for programs."""

import json
import math
from collections.abc import Mapping, Sequence

Value = str | int | float | None
Record = Mapping[str, Value]


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least `percent` of them do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Return the slope of the line that fits best by least squares; 0 where all xs are the same."""
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread if spread else 0.0


def as_json(records: Sequence[Record]) -> str:
    """Print the records as they are."""
    return json.dumps(records, indent=2)


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
