"""The thresholds are DESIGN's: 400 and 450 MB of 512 are 78 % and 88 %."""

from itertools import pairwise

import pytest

from src.memory.memory_mode import is_exhausted, next_mode
from src.records import MemoryMode

NORMAL, CAUTIOUS, DEGRADED = MemoryMode


@pytest.mark.parametrize(
    ("current", "percent", "expected"),
    [
        (NORMAL, 0.0, NORMAL),
        (NORMAL, 77.9, NORMAL),
        (NORMAL, 78.0, CAUTIOUS),
        (NORMAL, 87.9, CAUTIOUS),
        (NORMAL, 88.0, DEGRADED),
        (NORMAL, 400.0, DEGRADED),
        (CAUTIOUS, 73.0, CAUTIOUS),
        (CAUTIOUS, 72.9, NORMAL),
        (CAUTIOUS, 87.9, CAUTIOUS),
        (CAUTIOUS, 88.0, DEGRADED),
        (DEGRADED, 83.0, DEGRADED),
        (DEGRADED, 82.9, CAUTIOUS),
        (DEGRADED, 73.0, CAUTIOUS),
        (DEGRADED, 72.9, NORMAL),
    ],
)
def test_share_of_limit_decides_the_next_mode(current: MemoryMode, percent: float, expected: MemoryMode) -> None:
    """A mode is entered at its threshold and left five points below it."""
    assert next_mode(current, percent) is expected


@pytest.mark.parametrize(
    ("was", "percent", "expected"),
    [(False, 94.9, False), (False, 95.0, True), (True, 90.0, True), (True, 89.9, False), (True, 300.0, True)],
)
def test_share_of_limit_decides_exhaustion(was: bool, percent: float, expected: bool) -> None:
    """Memory is exhausted from 95 % until it is below 90 % again."""
    assert is_exhausted(was, percent) is expected


def test_swaying_around_a_threshold_switches_the_mode_once() -> None:
    """Hysteresis: 77, 79, 77, 79, ... is one transition, not one per chat."""
    modes = [NORMAL]
    for percent in (77.0, 79.0) * 20:
        modes.append(next_mode(modes[-1], percent))
    assert sum(before is not after for before, after in pairwise(modes)) == 1
