"""The thresholds are DESIGN's: 400 and 450 MB of 512 are 78 % and 88 %."""

import pytest

from src.memory.memory_manager import count_passed
from src.memory.thresholds import HYSTERESIS_PERCENT, MODES, PRESSURE_PERCENT, workers_with_room
from src.records import MemoryMode


def levels(*percents: float) -> list[int]:
    """Return the level after each value, of which the first finds none passed."""
    found: list[int] = []
    for percent in percents:
        before = found[-1] if found else 0
        found.append(count_passed(percent, PRESSURE_PERCENT, before=before, hysteresis=HYSTERESIS_PERCENT))
    return found


@pytest.mark.parametrize(
    ("before", "percent", "level"),
    [
        (0, 0.0, 0),
        (0, 77.9, 0),
        (0, 78.0, 1),
        (0, 87.9, 1),
        (0, 88.0, 2),
        (0, 94.9, 2),
        (0, 95.0, 3),
        (0, 400.0, 3),
        (80, 73.0, 1),
        (80, 72.9, 0),
        (80, 87.9, 1),
        (80, 88.0, 2),
        (90, 83.0, 2),
        (90, 82.9, 1),
        (90, 94.9, 2),
        (90, 72.9, 0),
        (96, 90.0, 3),
        (96, 89.9, 2),
        (96, 82.9, 1),
    ],
)
def test_level_is_entered_at_its_threshold_and_left_five_points_below(
    before: float, percent: float, level: int
) -> None:
    """From NORMAL through CAUTIOUS and DEGRADED to exhausted, and back."""
    assert levels(before, percent)[-1] == level


def test_value_that_sways_around_a_threshold_passes_it_once() -> None:
    """Hysteresis: 77, 79, 77, 79, ... is one passing, not one for each chat."""
    assert levels(*(77, 79) * 5) == [0, *([1] * 9)]


def test_mode_of_each_level() -> None:
    """An exhausted worker is in the strictest mode."""
    assert list(MODES) == [MemoryMode.NORMAL, MemoryMode.CAUTIOUS, MemoryMode.DEGRADED, MemoryMode.DEGRADED]


@pytest.mark.parametrize(
    ("wanted", "limit_mb", "number"),
    [(1, 1, 1), (2, 203, 1), (2, 204, 2), (4, 512, 4), (8, 512, 7), (64, 512, 7), (2, 2048, 2)],
)
def test_as_many_workers_as_hold_the_model_have_room(wanted: int, limit_mb: float, number: int) -> None:
    """144 MB for the first, as in docs/memory.md, and 60 for each other; one starts in any case."""
    assert workers_with_room(wanted, limit_mb) == number
