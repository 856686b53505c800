"""An alert is told once when a threshold is passed, and again only after the figure has gone down."""

import logging
from collections import Counter

import pytest

from src.memory.memory_alerts import MemoryAlert


def test_each_level_is_told_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """Swaying around a threshold is one alert, not many."""
    counts: Counter[str] = Counter()
    alert = MemoryAlert("charged", "%", (78, 88, 95), counts)
    for percent in (50, 79, 77, 79, 80, 89):
        alert.check(percent)
    assert counts == {"alert_charged_warning": 1, "alert_charged_critical": 1}
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.ERROR]
    assert caplog.messages[0] == "Memory alert [warning]: charged=79 %, over 78 %"


def test_jump_over_several_levels_is_one_line_at_the_highest(caplog: pytest.LogCaptureFixture) -> None:
    """A leap tells what counts, and counts what was passed."""
    counts: Counter[str] = Counter()
    MemoryAlert("vms", "MB", (2048, 3072, 4096), counts).check(5000)
    assert caplog.messages == ["Memory alert [emergency]: vms=5000 MB, over 4096 MB"]
    assert sum(counts.values()) == 3


def test_figure_that_went_down_and_comes_back_is_told_again() -> None:
    """A second shortage is a second alert."""
    counts: Counter[str] = Counter()
    alert = MemoryAlert("charged", "%", (78, 88, 95), counts)
    for percent in (80, 60, 80):
        alert.check(percent)
    assert counts == {"alert_charged_warning": 2}
