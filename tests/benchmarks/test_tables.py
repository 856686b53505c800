"""The lab's arithmetic against formulas worked by hand, and its table."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.tables import as_json, as_table, percentile, slope


@pytest.mark.parametrize(("percent", "expected"), [(50, 20), (30, 20), (40, 20), (5, 15), (100, 50)])
def test_percentile_of_the_textbook_example(percent: float, expected: float) -> None:
    """Nearest rank on 15, 20, 35, 40, 50: rank = ceil(p / 100 * 5), as in the usual textbook table."""
    table = {50: 35}
    assert percentile([50, 15, 40, 20, 35], percent) == table.get(percent, expected)


def test_percentile_of_one_value_is_that_value() -> None:
    """However high or low the percentage."""
    assert percentile([7.0], 0) == percentile([7.0], 99) == 7.0


def test_slope_by_hand() -> None:
    """Points (0, 1), (1, 3), (2, 2): sum of (x - 1)(y - 2) is 1, sum of (x - 1)**2 is 2."""
    assert slope([0, 1, 2], [1, 3, 2]) == 0.5


def test_slope_without_spread_is_zero() -> None:
    """One point has no line."""
    assert slope([3], [9]) == 0.0


@given(st.integers(-50, 50), st.integers(-50, 50), st.lists(st.integers(0, 1000), min_size=2, unique=True))
def test_slope_of_points_on_a_line_is_the_lines(gain: int, offset: int, xs: list[int]) -> None:
    """y = gain * x + offset gives back the gain."""
    assert slope(xs, [gain * x + offset for x in xs]) == pytest.approx(gain, abs=1e-6)


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


def test_json_is_the_records() -> None:
    """What a program reads is what was measured, unrounded."""
    records = [{"server": "a", "mb": 1 / 3, "charged_mb": None}]
    assert json.loads(as_json(records)) == records
