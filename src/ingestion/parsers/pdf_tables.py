"""Tables of a PDF page: lines one below the other whose words stand in the same columns, with wide gaps between.

Only what has one line for each row: a cell that goes on in a second line has no mark that tells so.
"""

from collections.abc import Iterator, Sequence
from statistics import median

from src.ingestion.parsers.columns import Box
from src.ingestion.parsers.tables import is_number, render_rows

MIN_ROWS = 3
MAX_WORDS = 6  # in a usual cell; columns of prose have more
# Of a line's height; the blank between two words is about a third of it.
_GAP = 1.0
_LINE_DISTANCE = 4.0

# A piece of a line, and where it stands.
Cell = tuple[Box, str]


def write_tables(text: str, pieces: Sequence[Cell]) -> str:
    """Write each row of a table as a line that names its columns; what is no table stays as it is.

    Args:
        text: the page's.
        pieces: of the page, in its order.
    """
    lines = text.splitlines()
    squeezed = ["".join(line.split()) for line in lines]
    for rows in _find_tables(_lines(pieces)):
        wanted = ["".join("".join(row).split()) for row in rows]
        at = next((at for at in range(len(lines)) if squeezed[at : at + len(rows)] == wanted), None)
        if at is not None:
            lines[at : at + len(rows)] = ["", *render_rows(rows).split("\n"), ""]
            squeezed = ["".join(line.split()) for line in lines]
    return "\n".join(lines)


def _lines(pieces: Sequence[Cell]) -> list[list[Cell]]:
    """Put pieces that stand on one line and near each other together."""
    lines: list[list[Cell]] = []
    for box, words in pieces:
        last = lines[-1][-1][0] if lines else None
        height = max(box[3] - box[1], last[3] - last[1]) if last else 0
        if last and min(box[3], last[3]) > max(box[1], last[1]) and box[0] > last[2] - height:
            if box[0] - last[2] < _GAP * height:
                merged = (last[0], min(last[1], box[1]), box[2], max(last[3], box[3]))
                lines[-1][-1] = merged, f"{lines[-1][-1][1].rstrip()} {words}"
            else:
                lines[-1].append((box, words))
        else:
            lines.append([(box, words)])
    return lines


def _find_tables(lines: Sequence[Sequence[Cell]]) -> Iterator[list[list[str]]]:
    run: list[Sequence[Cell]] = []
    for line in [*lines, []]:
        if len(line) > 1 and (not run or _is_below(run[-1], line)):
            run.append(line)
            continue
        rows = _make_rows(run)
        if rows:
            yield rows
        run = [line] if len(line) > 1 else []


def _is_below(above: Sequence[Cell], line: Sequence[Cell]) -> bool:
    height = max(box[3] - box[1] for box, _ in [*above, *line])
    return 0 < above[0][0][1] - line[0][0][1] < _LINE_DISTANCE * height


def _make_rows(run: Sequence[Sequence[Cell]]) -> list[list[str]]:
    """Put a run of lines into columns; nothing where they are no table."""
    if len(run) < MIN_ROWS:
        return []
    columns: list[tuple[float, float]] = []
    for left, right in sorted((box[0], box[2]) for line in run for box, _ in line):
        if columns and left < columns[-1][1]:
            columns[-1] = columns[-1][0], max(columns[-1][1], right)
        else:
            columns.append((left, right))
    rows = [["" for _ in columns] for _ in run]
    for row, line in zip(rows, run, strict=True):
        for box, words in line:
            at = next(at for at, (left, right) in enumerate(columns) if left <= box[0] <= right)
            row[at] = f"{row[at]} {words}".strip()
    return rows if _is_table(rows) else []


def _is_table(rows: Sequence[Sequence[str]]) -> bool:
    """Tell a table with a head from a form and from columns of prose: there are numbers under a word."""
    head, *body = rows
    columns = list(zip(*body, strict=True))
    has_numbers = any(2 * sum(map(is_number, column)) > len(body) for column in columns)
    words = [len(cell.split()) for row in rows for cell in row if cell]
    is_head = not any(sign == ":" or sign.isdigit() for cell in head for sign in cell)
    return (
        is_head
        and has_numbers
        and all(head[1:])
        and all(map(any, columns))
        and len(head) > 2
        and median(words) <= MAX_WORDS
    )
