"""Replaces a gunicorn worker without a gap: the worker's half; the master's, with a drawing, is in `handover.py`.

A worker asks for a successor when its budget of chats is used up, when its memory has grown, or when the memory
manager wants it replaced. `get_recycling()` is where the two sides of a process meet: gunicorn.conf.py gives the
settings and takes the hooks, the app gives its services. Without gunicorn nothing happens.
"""

import gc
import logging
import os
import random
import signal
import sys
import time
from functools import lru_cache
from threading import Lock, Thread, get_native_id
from typing import Any, Protocol

from src.memory.handover import Birth, Handover, Stage
from src.memory.memory_probe import MemoryProbe
from src.memory.thresholds import DEGRADED_PERCENT

CHAT_PATHS = frozenset({"/chat", "/v1/chat/completions"})
SEARCH_PATHS = ("/search", "/documents")
WARM_UP_LIMIT_S = 120.0
# The elder's chats come first while its successor loads: nobody waits for these 0.2 CPU-s.
WARM_UP_NICENESS = 10
# By then the parts that are loaded when first needed are there; growth counts from here.
BASELINE_CHATS = 5
# After the 1st, the 10th and each of so many chats, the log tells the memory.
LOGGED_CHATS = 50
# All workers together may grow by this share.
GROWTH_SHARE_OF_LIMIT = 1 / 8
# Between two asks, doubled each time: a successor that fails must not be tried in a loop.
FIRST_RETRY_S = 10.0
LONGEST_RETRY_S = 300.0
# No worker is replaced for its memory sooner after its start, or after a sibling was: memory is one for all of them, so
# what one gave back may be enough. Each replacement that did not help doubles it.
MEMORY_REST_S = 60.0
MOST_DOUBLINGS = 6
# Where memory has no room for one more, the elder waits at most this long for a moment without chats.
QUIET_WAIT_S = 20.0

logger = logging.getLogger(__name__)


class AppServices(Protocol):
    """What recycling needs of the app."""

    def warm_up(self) -> None:
        """Load all that a chat needs; return when it is there."""


class WorkerRecycling:
    """Counts this worker's chats and arranges its replacement; most of its methods are gunicorn's hooks."""

    def __init__(self) -> None:
        self.handover = Handover()
        self._lock = Lock()
        self._workers = 1
        self._budget = 0
        self._chats = 0
        self._is_used = False
        self._running = 0
        self._baseline_mb: float | None = None
        self._asked_for: str | None = None
        self._started_at = 0.0
        self._due_since: float | None = None
        self._next_ask_at = 0.0
        self._retry_s = FIRST_RETRY_S

    def configure(self, max_requests: int, jitter: int, probe: MemoryProbe) -> None:
        """Take the settings; called by gunicorn.conf.py before any hook.

        Args:
            max_requests: chats after which a worker is replaced; 0: never.
            jitter: up to this many chats more, drawn for each worker.
        """
        self._max_requests, self._jitter, self._probe = max_requests, jitter, probe

    def serve(self, services: AppServices) -> None:
        """Take what a successor or an heir warms up; called by the app when it is made, before any worker begins."""
        self._services = services

    def request(self, reason: str | None) -> None:
        """Note that the memory manager wants this worker replaced (None: no more) when its current request ends."""
        self._asked_for = reason

    def when_ready(self, server: Any) -> None:
        """Prepare the master for its forks.

        What is imported by now is hidden from the garbage collector, whose passes would copy the pages that the
        workers share.
        """
        self._workers = server.num_workers
        self.handover.open(server)
        gc.collect()
        gc.freeze()

    def post_worker_init(self, worker: Any) -> None:
        """Give the worker its budget; a successor loads its services here, before it accepts."""
        self._started_at = time.monotonic()
        self._budget = self._max_requests + random.randint(0, self._jitter)  # noqa: S311
        if self.handover.birth is Birth.SUCCESSOR:
            self._warm_up(worker)
            if worker.alive:
                logger.info("Memory [hand-over, successor ready]: %s", self._probe.describe())
                self.handover.send("ready")
                os.kill(worker.ppid, signal.SIGTTOU)
            return
        logger.info("Memory [startup]: %s", self._probe.describe())
        if self.handover.birth is Birth.HEIR:
            self._start_warm_up()

    def pre_request(self, worker: Any, request: Any) -> None:
        """Take the request out of gunicorn's own count; answered chats are added again."""
        worker.nr -= 1
        if _is_chat(request):
            with self._lock:
                self._running += 1

    def post_request(self, worker: Any, request: Any, _environ: Any, response: Any) -> None:
        """Count an answered chat and see whether this worker has done its share."""
        is_answered = response is not None and (response.status_code or 500) < 400
        self._is_used |= is_answered and (_is_chat(request) or request.path.startswith(SEARCH_PATHS))
        if _is_chat(request):
            with self._lock:
                self._running -= 1
                if is_answered:
                    self._chats += 1
                    worker.nr += 1
                    self._note_chat()
        if not worker.alive:
            return
        if self._max_requests and self._chats >= self._budget:
            self._replace(worker, f"{self._chats} chats answered", is_for_memory=False)
        elif (reason := self._find_memory_reason()) is not None:
            self._replace(worker, reason, is_for_memory=True)

    def _note_chat(self) -> None:
        if self._chats == BASELINE_CHATS:
            self._baseline_mb = self._probe.own().anonymous_mb
        if self._chats in (1, 10) or self._chats % LOGGED_CHATS == 0:
            logger.info("Memory [chat %d]: %s", self._chats, self._probe.describe())

    def worker_exit(self, _server: Any, worker: Any) -> None:
        """Log the end, and keep a successor that failed to boot from halting the server."""
        if worker.pid != os.getpid():
            return
        logger.info("Memory [exit]: %s, %d chats answered", self._probe.describe(), self._chats)
        if self.handover.birth is Birth.SUCCESSOR and not worker.booted:
            # gunicorn's own code for a failed boot stops the master, and with it the elder.
            sys.exit(1)

    def _find_memory_reason(self) -> str | None:
        rest_s = MEMORY_REST_S * 2 ** min(self.handover.memory_streak, MOST_DOUBLINGS)
        if not self._is_used or time.monotonic() - max(self._started_at, self.handover.memory_replaced_at) < rest_s:
            return None
        if self._asked_for is None and self._baseline_mb is not None:
            growth_mb = self._probe.own().anonymous_mb - self._baseline_mb
            if growth_mb > self._probe.limit_mb * GROWTH_SHARE_OF_LIMIT / self._workers:
                return f"grown by {growth_mb:.0f} MB"
        return self._asked_for

    def _replace(self, worker: Any, reason: str, *, is_for_memory: bool) -> None:
        """Ask for a successor, or to leave first: once in a while, and when no other worker is being replaced."""
        with self._lock:
            now = time.monotonic()
            if now < self._next_ask_at or self.handover.stage is not Stage.NONE:
                return
            self._due_since = self._due_since or now
            has_room = self._has_room_for_one_more()
            if not has_room and self._running and now - self._due_since < QUIET_WAIT_S:
                return
            self._next_ask_at = now + self._retry_s
            self._retry_s = min(self._retry_s * 2, LONGEST_RETRY_S)
        what = "hand-over" if has_room else "stop first"
        logger.info("Memory [%s: %s]: %s", what, reason, self._probe.describe())
        self.handover.send("ask" if has_room else "leave", is_for_memory=is_for_memory)
        # Where the whole server stops instead, nobody goes on with the clients of this worker.
        worker.is_followed = lambda: self.handover.stage in (Stage.RETIRING, Stage.LEAVING)
        os.kill(worker.ppid, signal.SIGTTIN)

    def _has_room_for_one_more(self) -> bool:
        reading = self._probe.read(is_fresh=True)
        successor_mb = self._baseline_mb or self._probe.own().anonymous_mb
        return reading.charged_mb + successor_mb < reading.limit_mb * DEGRADED_PERCENT / 100

    def _warm_up(self, worker: Any) -> None:
        """Load the app's services while the heartbeat goes on.

        Raises:
            TimeoutError: not within `WARM_UP_LIMIT_S`; what the app raises otherwise.
        """
        thread, errors = self._start_warm_up()
        deadline = time.monotonic() + WARM_UP_LIMIT_S
        while thread.is_alive() and worker.alive:
            worker.notify()
            thread.join(timeout=0.1)
            if time.monotonic() > deadline:
                raise TimeoutError(f"The services were not loaded within {WARM_UP_LIMIT_S:.0f} s.")
        if errors:
            raise errors[0]

    def _start_warm_up(self) -> tuple[Thread, list[BaseException]]:
        errors: list[BaseException] = []

        def run() -> None:
            # On Linux this is of the thread alone; the libraries' own threads inherit it, and do 1 % of the work.
            os.setpriority(os.PRIO_PROCESS, get_native_id(), WARM_UP_NICENESS)
            try:
                self._services.warm_up()
            except BaseException as exc:  # noqa: BLE001 -- handed to the waiting thread
                errors.append(exc)
            if self.handover.birth is Birth.HEIR:
                self.handover.end_of_load()

        thread = Thread(target=run, name="warm-up", daemon=True)
        thread.start()
        return thread, errors


@lru_cache(maxsize=1)
def get_recycling() -> WorkerRecycling:
    """Return the one recycling of this process."""
    return WorkerRecycling()


def _is_chat(request: Any) -> bool:
    return request.method == "POST" and request.path in CHAT_PATHS
