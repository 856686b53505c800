"""Stops calls to an LLM server that keeps failing, so that nobody waits for it."""

import time
from collections.abc import Callable
from threading import Lock

FAILURES_TO_OPEN = 5
OPEN_S = 30.0


class CircuitBreaker:
    """Stops the calls to a server that keeps failing. After a pause one call is let through, and its end decides.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        failures_to_open: int = FAILURES_TO_OPEN,
        open_s: float = OPEN_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failures_to_open = failures_to_open
        self._open_s = open_s
        self._clock = clock
        self._lock = Lock()
        self._failures = 0
        self._open_until = 0.0

    def allows(self) -> bool:
        """Tell whether a call may be made now. Of several that ask after the pause, one may."""
        with self._lock:
            if self._failures < self._failures_to_open:
                return True
            if self._clock() < self._open_until:
                return False
            self._open_until = self._clock() + self._open_s
            return True

    def record_success(self) -> None:
        """Close the circuit: the server answers."""
        with self._lock:
            self._failures = 0

    def record_failure(self) -> None:
        """Count a failed call."""
        with self._lock:
            self._failures += 1
            if self._failures >= self._failures_to_open:
                self._open_until = self._clock() + self._open_s
