"""The lab's percentile against the textbook, and its table."""

import pytest

from benchmarks.load import percentile
from benchmarks.tables import as_table


@pytest.mark.parametrize(("percent", "expected"), [(50, 20), (30, 20), (40, 20), (5, 15), (100, 50)])
def test_percentile_of_the_textbook_example(percent: float, expected: float) -> None:
    """Nearest rank on 15, 20, 35, 40, 50: rank = ceil(p / 100 * 5), as in the usual textbook table."""
    table = {50: 35}
    assert percentile([50, 15, 40, 20, 35], percent) == table.get(percent, expected)


def test_percentile_of_one_value_is_that_value() -> None:
    """However high or low the percentage."""
    assert percentile([7.0], 0) == percentile([7.0], 99) == 7.0


def test_table_of_many_records_has_a_line_for_each() -> None:
    """Numbers are right-aligned under their names; what is missing is a dash."""
    records = [{"module": "flask", "mb": 1234.5}, {"module": "x", "mb": None}]
    assert as_table([*records, records[1]]) == (
        "module        mb\n"
        "flask   1,234.50\n"
        "x              -\n"
        "x              -"
    )  # fmt: skip


def test_table_of_one_record_has_a_line_for_each_number() -> None:
    """More names than records: the table is turned."""
    assert as_table([{"server": "a", "mb": 2.0, "pids": 3}]) == "server     a\nmb      2.00\npids       3"
