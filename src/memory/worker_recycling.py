"""Replaces a gunicorn worker without a gap: the worker's half; the master's is in `handover.py`.

A worker whose budget of chats is used up, whose memory has grown, or that the memory manager wants replaced, asks the
master for a successor. That one loads its services before it accepts, then the elder is retired and finishes what it
began. Where memory has no room for two, the elder goes first and its heir loads in the background.
"""

import gc
import logging
import os
import random
import signal
import sys
import time
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock, Thread, get_native_id
from typing import Any

from src.memory.handover import Handover
from src.memory.memory_mode import ENTER_PERCENT
from src.memory.memory_probe import MemoryProbe
from src.memory.process_tree import read_own_memory_mb
from src.records import MemoryMode

EXTENSION = "rag512"
CHAT_PATHS = frozenset({"/chat", "/v1/chat/completions"})
WARM_UP_LIMIT_S = 120.0
# The elder's chats come first while its successor loads: about 0.2 CPU-s that nobody waits for.
WARM_UP_NICENESS = 10
# After so many chats the lazily loaded parts are there; growth counts from here.
BASELINE_CHATS = 5
GROWTH_SHARE_OF_LIMIT = 1 / 8
# Between an ask and the next, doubled each time: a successor that fails must not be tried in a loop.
FIRST_RETRY_S = 10.0
LONGEST_RETRY_S = 300.0
# A worker younger than this is not replaced for its memory, doubled each time that a replacement did not help.
MEMORY_REST_S = 60.0
# Without room for two the elder waits so long at most for a moment without chats.
QUIET_WAIT_S = 20.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a worker is to be replaced."""

    text: str
    is_for_memory: bool = True


class WorkerRecycling:
    """Counts this worker's chats and arranges its replacement; its methods are gunicorn's hooks.

    Args:
        max_requests: chats after which a worker is replaced; 0: never.
        jitter: up to so many chats more.
    """

    def __init__(self, max_requests: int, jitter: int, probe: MemoryProbe) -> None:
        self.handover = Handover()
        self._max_requests = max_requests
        self._jitter = jitter
        self._probe = probe
        self._lock = Lock()
        self._worker: Any = None
        self._budget = 0
        self._chats = 0
        self._running = 0
        self._baseline_mb: float | None = None
        self._asked_for: str | None = None
        self._started_at = 0.0
        self._due_since: float | None = None
        self._next_ask_at = 0.0
        self._retry_s = FIRST_RETRY_S

    def when_ready(self, _server: Any) -> None:
        """Hide what is imported from the garbage collector, whose passes would copy the pages that workers share."""
        gc.collect()
        gc.freeze()

    def post_worker_init(self, worker: Any) -> None:
        """Give the worker its budget; a successor loads its services here, before it accepts."""
        self._worker = worker
        self._started_at = time.monotonic()
        self._budget = self._max_requests + random.randint(0, self._jitter)  # noqa: S311
        if not self.handover.is_successor(worker):
            logger.info("Memory [startup]: %s", self._probe.describe())
            if self.handover.is_heir(worker):
                _start_warm_up(worker, b"")
            return
        _warm_up(worker, self.handover.inherit())
        if worker.alive:
            logger.info("Memory [hand-over, successor ready]: %s", self._probe.describe())
            self.handover.send("ready")
            os.kill(worker.ppid, signal.SIGTTOU)

    def pre_request(self, worker: Any, request: Any) -> None:
        """Take the request out of gunicorn's own count; answered chats are added again."""
        worker.nr -= 1
        if _is_chat(request):
            with self._lock:
                self._running += 1

    def post_request(self, worker: Any, request: Any, _environ: Any, response: Any) -> None:
        """Count an answered chat and see whether this worker has done its share."""
        if _is_chat(request):
            with self._lock:
                self._running -= 1
                if response is not None and (response.status_code or 500) < 400:
                    self._chats += 1
                    worker.nr += 1
                    if self._chats == BASELINE_CHATS:
                        self._baseline_mb = read_own_memory_mb()[1]
        reason = self._find_reason()
        if reason is not None and worker.alive:
            self._replace(reason)

    def worker_exit(self, _server: Any, worker: Any) -> None:
        """Log the end, and keep a successor that failed to boot from halting the server."""
        if worker.pid != os.getpid():
            return
        logger.info("Memory [exit]: %s, %d chats answered", self._probe.describe(), self._chats)
        if self.handover.is_successor(worker) and not worker.booted:
            # gunicorn's own code for a failed boot stops the master, and with it the elder.
            sys.exit(1)

    def request(self, reason: str) -> None:
        """Note that the memory manager wants this worker replaced; done when its current request ends."""
        self._asked_for = reason

    def _find_reason(self) -> Reason | None:
        if self._max_requests and self._chats >= self._budget:
            return Reason(f"{self._chats} chats answered", is_for_memory=False)
        rest_s = MEMORY_REST_S * 2 ** min(self.handover.memory_streak, 6)
        if self._chats == 0 or time.monotonic() - self._started_at < rest_s:
            return None
        if self._asked_for is not None:
            return Reason(self._asked_for)
        if self._baseline_mb is not None:
            growth_mb = read_own_memory_mb()[1] - self._baseline_mb
            if growth_mb > self._probe.read().limit_mb * GROWTH_SHARE_OF_LIMIT:
                return Reason(f"grown by {growth_mb:.0f} MB")
        return None

    def _replace(self, reason: Reason) -> None:
        with self._lock:
            now = time.monotonic()
            if now < self._next_ask_at:
                return
            self._due_since = self._due_since or now
            if not self._has_room_for_two():
                if self._running and now - self._due_since < QUIET_WAIT_S:
                    return
                self._next_ask_at = float("inf")
                logger.info("Memory [stop first: %s]: %s", reason.text, self._probe.describe())
                self.handover.send("leave", is_for_memory=reason.is_for_memory)
                os.kill(os.getpid(), signal.SIGTERM)
                return
            self._next_ask_at = now + self._retry_s
            self._retry_s = min(self._retry_s * 2, LONGEST_RETRY_S)
        logger.info("Memory [hand-over: %s]: %s", reason.text, self._probe.describe())
        # Where memory is short the successor starts with empty caches.
        self.handover.pass_on(b"" if reason.is_for_memory else _services(self._worker).save_caches())
        self.handover.send("ask", is_for_memory=reason.is_for_memory)
        os.kill(self._worker.ppid, signal.SIGTTIN)

    def _has_room_for_two(self) -> bool:
        reading = self._probe.read(is_fresh=True)
        successor_mb = self._baseline_mb or read_own_memory_mb()[1]
        return reading.charged_mb + successor_mb < reading.limit_mb * ENTER_PERCENT[MemoryMode.DEGRADED] / 100


@lru_cache(maxsize=1)
def get_recycling(max_requests: int, jitter: int, limit_mb: int) -> WorkerRecycling:
    """Return the recycling of this server; a reload of gunicorn.conf.py finds the same one again."""
    global _recycling
    _recycling = WorkerRecycling(max_requests, jitter, MemoryProbe(limit_mb))
    return _recycling


_recycling: WorkerRecycling | None = None


def request_replacement(reason: str) -> None:
    """Ask that this worker be replaced; nothing happens where gunicorn does not serve it."""
    if _recycling is not None:
        _recycling.request(reason)


def _is_chat(request: Any) -> bool:
    return request.method == "POST" and request.path in CHAT_PATHS


def _services(worker: Any) -> Any:
    return worker.wsgi.extensions[EXTENSION]


def _warm_up(worker: Any, caches: bytes) -> None:
    """Load the app's services while the heartbeat goes on.

    Raises:
        TimeoutError: not within `WARM_UP_LIMIT_S`; what the app raises otherwise.
    """
    thread, errors = _start_warm_up(worker, caches)
    deadline = time.monotonic() + WARM_UP_LIMIT_S
    while thread.is_alive() and worker.alive:
        worker.notify()
        thread.join(timeout=0.1)
        if time.monotonic() > deadline:
            raise TimeoutError(f"The services were not loaded within {WARM_UP_LIMIT_S:.0f} s.")
    if errors:
        raise errors[0]


def _start_warm_up(worker: Any, caches: bytes) -> tuple[Thread, list[BaseException]]:
    errors: list[BaseException] = []

    def run() -> None:
        # On Linux this is of the thread alone; the libraries' own helper threads inherit it, which do 1 % of the work.
        os.setpriority(os.PRIO_PROCESS, get_native_id(), WARM_UP_NICENESS)
        try:
            _services(worker).warm_up()
            _services(worker).restore_caches(caches)
        except BaseException as exc:  # noqa: BLE001 -- handed to the waiting thread
            errors.append(exc)

    thread = Thread(target=run, name="warm-up", daemon=True)
    thread.start()
    return thread, errors
