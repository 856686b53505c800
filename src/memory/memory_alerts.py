"""Says once, in one log line, that memory has passed a threshold, and counts it.

The modes act (`memory_mode.py`); alerts only tell, at thresholds that whoever watches the log chooses.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from threading import Lock

LEVELS = ("warning", "critical", "emergency")
_LOG_LEVELS = (logging.WARNING, logging.ERROR, logging.CRITICAL)
# A level is left only so far below its threshold, so that a value that sways around it is told once.
HYSTERESIS_SHARE = 0.05

logger = logging.getLogger(__name__)


class MemoryAlert:
    """Watches one figure.

    Args:
        name: of the figure, for the log line and the counter, such as `charged` or `vms`.
        unit: of the figure and the thresholds.
        thresholds: of warning, critical and emergency, ascending.
    """

    def __init__(self, name: str, unit: str, thresholds: Sequence[float], counts: Counter[str]) -> None:
        self._name, self._unit = name, unit
        self._thresholds = tuple(thresholds)
        self._counts = counts
        self._level = 0
        self._lock = Lock()

    def check(self, value: float) -> None:
        """Log and count each level that is passed upwards; going down is silent."""
        with self._lock:
            before, self._level = self._level, self._level_of(value)
            passed = range(before, self._level)
        for level in passed:
            self._counts[f"alert_{self._name}_{LEVELS[level]}"] += 1
        if passed:
            level = passed[-1]
            message = "Memory alert [%s]: %s=%.0f %s, over %.0f %s"
            unit = self._unit
            logger.log(
                _LOG_LEVELS[level], message, LEVELS[level], self._name, value, unit, self._thresholds[level], unit
            )

    def _level_of(self, value: float) -> int:
        level = 0
        for number, threshold in enumerate(self._thresholds, start=1):
            held = threshold * (1 - HYSTERESIS_SHARE) if self._level >= number else threshold
            if value >= held:
                level = number
        return level
