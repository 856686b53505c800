"""Two-column pages of a PDF whose file holds them line by line across both columns."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

# left, bottom, right, top: y grows upwards
Box = tuple[float, float, float, float]

MIN_LINES = 5  # of each column
# A table's cells are narrower than this share of their column, lines of prose wider.
MIN_WIDTH = 0.6
MAX_CROSSING = 0.3
MIN_TURNS = 4
_WHOLE = 3  # in points: boxes of one line need not be level


def order_columns(boxes: Sequence[Box]) -> list[Box]:
    """Return the boxes of the text in reading order; nothing where the file's own order is to be kept.

    The file's order is the better one, unless it goes to and fro between two columns of prose. Lines over both columns
    part the page: what is above them is read before them.
    """
    gutter = _find_gutter(boxes)
    if gutter is None:
        return []
    rest = [box for box in boxes if _side(box, gutter)]
    if sum(_side(one, gutter) != _side(other, gutter) for one, other in pairwise(rest)) < MIN_TURNS:
        return []
    crossing = sorted((box for box in boxes if not _side(box, gutter)), key=lambda box: -box[3])
    ordered: list[Box] = []
    for line in [*crossing, None]:
        above = [box for box in rest if line is None or box[1] >= line[3] - _WHOLE]
        rest = [box for box in rest if box not in above]
        ordered += sorted(above, key=lambda box: (_side(box, gutter), -round(box[3] / _WHOLE), box[0]))
        ordered += [line] if line else []
    return ordered


def _side(box: Box, gutter: float) -> int:
    """Return 1 for the left column, 2 for the right one, 0 for what lies over both."""
    return 1 if box[2] <= gutter else 2 if box[0] >= gutter else 0


def _find_gutter(boxes: Sequence[Box]) -> float | None:
    if len(boxes) < 2 * MIN_LINES:
        return None
    first, last = min(box[0] for box in boxes), max(box[2] for box in boxes)
    middle = [box[0] for box in boxes if 0.4 < (box[0] - first) / (last - first + 1) < 0.65]
    if len(middle) < MIN_LINES:
        return None
    gutter = median(middle) - 1
    sides = [[box for box in boxes if _side(box, gutter) == side] for side in (0, 1, 2)]
    is_prose = all(
        len(column) >= MIN_LINES and median(box[2] - box[0] for box in column) >= MIN_WIDTH * width
        for column, width in ((sides[1], gutter - first), (sides[2], last - gutter))
    )
    return gutter if is_prose and len(sides[0]) <= MAX_CROSSING * len(boxes) else None
