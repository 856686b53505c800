"""Acts on the memory that the probe reads: moves the mode, gives memory back, asks for a fresh worker, refuses chats.

It knows nothing of what it frees: the app registers callbacks that drop caches and unload services.
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
from src.memory.memory_alerts import MemoryAlert
from src.memory.memory_mode import is_exhausted, next_mode, severity
from src.memory.memory_probe import MemoryProbe, MemoryReading
from src.memory.process_tree import ProcessMemory, read_own_memory_mb, read_own_vms_mb
from src.memory.worker_recycling import request_replacement
from src.records import MemoryMode

HISTORY_LENGTH = 100
ALERT_PERCENT = (78.0, 88.0, 95.0)
# Address space costs nothing by itself; a worker has 0.9 GB of it, mostly threads' stacks. Growth is what tells.
ALERT_VMS_MB = (2048.0, 3072.0, 4096.0)
RETRY_AFTER_S = 30
# After services were unloaded the charge is low; loading them at once would only fill it again.
REST_AFTER_EXHAUSTION_S = 60.0
# What a trim must be able to find before it is worth its milliseconds.
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
        alert_percent, alert_vms_mb: thresholds of warning, critical and emergency.
        replace_worker: asks for a fresh worker, with the reason for the log.
    """

    def __init__(
        self,
        probe: MemoryProbe,
        *,
        alert_percent: Sequence[float] = ALERT_PERCENT,
        alert_vms_mb: Sequence[float] = ALERT_VMS_MB,
        replace_worker: Callable[[str], object] = request_replacement,
    ) -> None:
        self._probe = probe
        self._replace_worker = replace_worker
        self._drop_caches: list[Callable[[], object]] = []
        self._unload_services: list[Callable[[], object]] = []
        self._lock = Lock()
        self._mode = MemoryMode.NORMAL
        self._is_exhausted = False
        self._rest_until = 0.0
        self._trimmed_mb = 0.0
        self.history: deque[Transition] = deque(maxlen=HISTORY_LENGTH)
        self.steps: deque[StepCost] = deque(maxlen=HISTORY_LENGTH)
        self.counts: Counter[str] = Counter()
        self._charged_alert = MemoryAlert("charged", "%", alert_percent, self.counts)
        self._vms_alert = MemoryAlert("vms", "MB", alert_vms_mb, self.counts)

    @property
    def mode(self) -> MemoryMode:
        """Return the mode as the last chat left it."""
        return self._mode

    def read(self, *, is_fresh: bool = False) -> MemoryReading:
        """Read the charge without acting on it; fresh means without the cache of a second."""
        return self._probe.read(is_fresh=is_fresh)

    def processes(self) -> tuple[ProcessMemory, ...]:
        """Read every process of this server; for reports."""
        return self._probe.processes()

    def on_pressure(self, drop_caches: Callable[[], object]) -> None:
        """Register what gives up memory that is merely convenient."""
        self._drop_caches.append(drop_caches)

    def on_exhaustion(self, unload_services: Callable[[], object]) -> None:
        """Register what gives up all that can be loaded again."""
        self._unload_services.append(unload_services)

    def observe(self) -> MemoryMode:
        """Move the mode to what the memory says; every chat does this first.

        Raises:
            ServiceUnavailable: hardly anything is left, even after the services were unloaded.
        """
        reading = self._probe.read()
        self._charged_alert.check(reading.percent)
        self._vms_alert.check(read_own_vms_mb())
        worse, newly_exhausted = self._move(reading)
        if newly_exhausted or self._is_exhausted:
            self._relieve_exhaustion(newly_exhausted)
        elif worse:
            self._relieve(reading)
        elif self._mode is not MemoryMode.NORMAL and self._has_grown():
            self.trim()
        return self._mode

    def trim(self) -> float:
        """Collect garbage and return free heap pages to the system; the MB of RSS that this gave back."""
        before_mb, _ = read_own_memory_mb()
        gc.collect()
        trim_heap()
        after_mb, self._trimmed_mb = read_own_memory_mb()
        self.counts["trims"] += 1
        return max(0.0, before_mb - after_mb)

    @contextmanager
    def measure(self, step: str) -> Iterator[None]:
        """Note what a heavy step costs, and give back what it leaves unused."""
        started = time.monotonic()
        before_mb, _ = read_own_memory_mb()
        try:
            yield
        finally:
            seconds = time.monotonic() - started
            after_mb, _ = read_own_memory_mb()
            cost = StepCost(step, time.time(), seconds, before_mb, after_mb, self.trim())
            self.steps.append(cost)
            logger.info(
                "Memory [%s]: %s, step %+.1f MB, given back %.1f MB, in %.2f s",
                step,
                self._probe.describe(),
                after_mb - before_mb,
                cost.given_back_mb,
                seconds,
            )

    def _move(self, reading: MemoryReading) -> tuple[bool, bool]:
        """Decide the mode; tell whether it became worse and whether memory ran out just now."""
        with self._lock:
            exhausted = is_exhausted(self._is_exhausted, reading.percent)
            newly_exhausted = exhausted and not self._is_exhausted
            self._is_exhausted = exhausted
            if exhausted:
                self._rest_until = time.monotonic() + REST_AFTER_EXHAUSTION_S
            before, after = self._mode, next_mode(self._mode, reading.percent)
            if time.monotonic() < self._rest_until:
                after = MemoryMode.DEGRADED
            self._mode = after
            if after is not before:
                self.history.append(Transition(time.time(), before, after, reading.percent))
                self.counts[f"to_{after.lower()}"] += 1
                logger.warning("Memory mode %s -> %s: %s", before, after, self._probe.describe())
            return severity(after) > severity(before), newly_exhausted

    def _relieve(self, reading: MemoryReading) -> None:
        for drop_caches in self._drop_caches:
            drop_caches()
        given_back_mb = self.trim()
        logger.info("Memory [%s]: caches dropped, %.1f MB given back", self._mode, given_back_mb)
        if self._mode is MemoryMode.DEGRADED:
            self._replace_worker(f"memory at {reading.percent:.0f}%")

    def _relieve_exhaustion(self, is_new: bool) -> None:
        if is_new:
            for free in (*self._drop_caches, *self._unload_services):
                free()
            given_back_mb = self.trim()
            self.counts["exhausted"] += 1
            logger.error("Memory exhausted: services unloaded, %.1f MB given back", given_back_mb)
        reading = self._probe.read(is_fresh=is_new)
        self._replace_worker(f"memory at {reading.percent:.0f}%")
        if not is_exhausted(True, reading.percent):
            self._is_exhausted = False
            return
        self.counts["refused"] += 1
        message = (
            f"The server has no memory left for a chat ({reading.charged_mb:.0f} MB of {reading.limit_mb:.0f} MB). "
            "Ask again later; if it stays so, raise MEMORY_LIMIT_MB or serve fewer documents."
        )
        raise ServiceUnavailable(message, retry_after_s=RETRY_AFTER_S, code="memory_exhausted")

    def _has_grown(self) -> bool:
        return read_own_memory_mb()[1] - self._trimmed_mb > TRIM_AFTER_GROWTH_MB
