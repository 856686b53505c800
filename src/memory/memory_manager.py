"""Acts on the memory that the probe reads: moves the mode, gives memory back, asks for a fresh worker, refuses chats.

It does not know what it frees: the app says how caches are dropped and services unloaded.
"""

import gc
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

from src.errors import ServiceUnavailable
from src.memory.c_heap import trim_heap
from src.memory.memory_probe import MemoryProbe, MemoryReading, ProcessMemory
from src.memory.thresholds import (
    DEGRADED,
    EXHAUSTED,
    HYSTERESIS_MB,
    HYSTERESIS_PERCENT,
    LEAST_MODEL_MB,
    MODES,
    NORMAL,
    PRESSURE_PERCENT,
    REFUSED_PERCENT,
)
from src.records import MemoryMode

HISTORY_LENGTH = 100
ALERTS = (("warning", logging.WARNING), ("critical", logging.ERROR), ("emergency", logging.CRITICAL))
RETRY_AFTER_S = 30
# A trim takes milliseconds. It is worth them when at least this much may be free.
TRIM_AFTER_GROWTH_MB = 16.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of the mode; `at` is seconds since the epoch."""

    at: float
    before: MemoryMode
    after: MemoryMode
    percent: float


@dataclass(frozen=True, slots=True)
class StepCost:
    """What one heavy step did to this process's RSS.

    Args:
        at: when it ended, in seconds since the epoch.
        given_back_mb: what the trim after it returned to the system.
    """

    step: str
    at: float
    seconds: float
    before_mb: float
    after_mb: float
    given_back_mb: float


class MemoryManager:
    """The memory of one process: its mode, what led to it, what each step cost.

    Args:
        replace_worker: asks for a fresh worker, with the reason for the log; None: no more.
        drop_caches: gives up memory that is merely convenient.
        unload_services: gives up all that can be loaded again.
        alert_percent, alert_vms_mb: where the log says warning, critical and emergency.
    """

    def __init__(
        self,
        probe: MemoryProbe,
        *,
        replace_worker: Callable[[str | None], object],
        drop_caches: Callable[[], object],
        unload_services: Callable[[], object],
        alert_percent: Sequence[float],
        alert_vms_mb: Sequence[float],
    ) -> None:
        self._probe = probe
        self._replace_worker = replace_worker
        self._drop_caches = drop_caches
        self._unload_services = unload_services
        self._lock = Lock()
        self._alert_percent, self._alert_vms_mb = alert_percent, alert_vms_mb
        # Whether the model and the vectors may be loaded; if not, the mode is DEGRADED. A worker that had to unload
        # them loads them no more, for that would only fill the memory again; its successor does.
        self.has_room_for_model = probe.limit_mb >= LEAST_MODEL_MB
        self._level = NORMAL if self.has_room_for_model else DEGRADED
        self._alert_levels: Counter[str] = Counter()
        self._trimmed_mb = 0.0
        self.history: deque[Transition] = deque(maxlen=HISTORY_LENGTH)
        self.steps: deque[StepCost] = deque(maxlen=HISTORY_LENGTH)
        self.counts: Counter[str] = Counter()
        if not self.has_room_for_model:
            message = (
                "Only %.0f MB of memory: the model and the vectors need %.0f. Answers come from the word index alone."
            )
            logger.error(message, probe.limit_mb, LEAST_MODEL_MB)

    @property
    def mode(self) -> MemoryMode:
        """Return the mode as the last chat left it."""
        return MODES[self._level]

    def read(self, *, is_fresh: bool = False) -> MemoryReading:
        """Read the charge without acting on it; fresh means without the cache of a second."""
        return self._probe.read(is_fresh=is_fresh)

    def processes(self) -> tuple[ProcessMemory, ...]:
        """Read every process of this server; for reports."""
        return self._probe.processes()

    def observe(self) -> MemoryMode:
        """Move the mode to what the memory says; every chat does this first.

        Raises:
            ServiceUnavailable: too little is left for a search by words, even after the services were unloaded.
        """
        reading = self.check_alerts()
        before, after = self._move(reading)
        if after > before:
            self._relieve(reading, after)
            if after == EXHAUSTED:
                reading = self._probe.read(is_fresh=True)
                _, after = self._move(reading)
        elif after < DEGRADED <= before:
            # Another worker has given memory back.
            self._replace_worker(None)
        elif after > NORMAL and self._probe.own().anonymous_mb - self._trimmed_mb > TRIM_AFTER_GROWTH_MB:
            self.trim()
        if reading.percent >= REFUSED_PERCENT:
            self._refuse(reading)
        return MODES[after]

    def check_alerts(self) -> MemoryReading:
        """Write the alerts that are due, without acting; the reading that they rest on."""
        reading = self._probe.read()
        self._alert("charged", "%", reading.percent, self._alert_percent, HYSTERESIS_PERCENT)
        self._alert("vms", "MB", self._probe.own().vms_mb, self._alert_vms_mb, HYSTERESIS_MB)
        return reading

    def drop_caches(self) -> float:
        """Give up what is merely convenient, and trim; the MB of RSS that this gave back."""
        self._drop_caches()
        return self.trim()

    def trim(self) -> float:
        """Collect garbage and return free heap pages to the system; the MB of RSS that this gave back."""
        before = self._probe.own()
        gc.collect()
        trim_heap()
        after = self._probe.own()
        self._trimmed_mb = after.anonymous_mb
        self.counts["trims"] += 1
        return max(0.0, before.rss_mb - after.rss_mb)

    @contextmanager
    def measure(self, step: str) -> Iterator[None]:
        """Note what a heavy step costs, and give back what it leaves unused."""
        started, before = time.monotonic(), self._probe.own()
        try:
            yield
        finally:
            seconds, after = time.monotonic() - started, self._probe.own()
            cost = StepCost(step, time.time(), seconds, before.rss_mb, after.rss_mb, self.trim())
            self.steps.append(cost)
            logger.info(
                "Memory [%s]: %s, step %+.1f MB, given back %.1f MB, in %.2f s",
                step,
                self._probe.describe(),
                cost.after_mb - cost.before_mb,
                cost.given_back_mb,
                seconds,
            )
            self.check_alerts()

    def _move(self, reading: MemoryReading) -> tuple[int, int]:
        """Decide the level, and with it the mode; the level before and the level after."""
        with self._lock:
            before = self._level
            passed = count_passed(reading.percent, PRESSURE_PERCENT, before=before, hysteresis=HYSTERESIS_PERCENT)
            if passed == EXHAUSTED:
                self.has_room_for_model = False
            self._level = passed if self.has_room_for_model else max(passed, DEGRADED)
            was, mode = MODES[before], MODES[self._level]
            if mode is not was:
                self.history.append(Transition(time.time(), was, mode, reading.percent))
                self.counts[f"to_{mode.lower()}"] += 1
                logger.warning("Memory mode %s -> %s: %s", was, mode, self._probe.describe())
            return before, self._level

    def _relieve(self, reading: MemoryReading, level: int) -> None:
        """Free what this level allows to free, and from DEGRADED on ask for a fresh worker."""
        self._drop_caches()
        if level == EXHAUSTED:
            self._unload_services()
            self.counts["exhausted"] += 1
            logger.error("Memory exhausted: services unloaded, %.1f MB given back", self.trim())
        else:
            logger.info("Memory [%s]: caches dropped, %.1f MB given back", MODES[level], self.trim())
        if level >= DEGRADED:
            self._replace_worker(f"memory at {reading.percent:.0f}%")

    def _refuse(self, reading: MemoryReading) -> None:
        self.counts["refused"] += 1
        message = (
            f"The server has no memory left for a chat ({reading.charged_mb:.0f} MB of {reading.limit_mb:.0f} MB). "
            "Ask again later; if it stays so, raise MEMORY_LIMIT_MB or serve fewer documents."
        )
        raise ServiceUnavailable(message, retry_after_s=RETRY_AFTER_S, code="memory_exhausted")

    def _alert(self, measure: str, unit: str, value: float, thresholds: Sequence[float], hysteresis: float) -> None:
        """Log the highest threshold that is newly passed, and count each."""
        with self._lock:
            before = self._alert_levels[measure]
            after = self._alert_levels[measure] = count_passed(value, thresholds, before=before, hysteresis=hysteresis)
        for name, _ in ALERTS[before:after]:
            self.counts[f"alert_{measure}_{name}"] += 1
        if after > before:
            name, log_level = ALERTS[after - 1]
            over = thresholds[after - 1]
            logger.log(log_level, "Memory alert [%s]: %s=%.0f %s, over %.0f %s", name, measure, value, unit, over, unit)


def count_passed(value: float, thresholds: Sequence[float], *, before: int, hysteresis: float) -> int:
    """Count the ascending thresholds that a value has passed.

    Args:
        before: how many were passed until now. Each of them is left only `hysteresis` below it, so that a value that
            sways around one passes it once.
    """
    return sum(
        value >= threshold - (hysteresis if number <= before else 0)
        for number, threshold in enumerate(thresholds, start=1)
    )
