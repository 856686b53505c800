"""Many clients at once: latencies, failures, the memory's peak; and what replacing the worker costs them."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle

import requests

from benchmarks.cgroup_box import Box
from benchmarks.questions import handbook_questions
from benchmarks.running_server import Server, run_server
from benchmarks.tables import Record

POLL_S = 0.2
# A person reads before the next question; a client that never pauses measures a queue.
THINK_S = 0.2
CHATS_PER_WORKER = 50


@dataclass(slots=True)
class _Seen:
    latencies_ms: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    pids: set[int] = field(default_factory=set)
    retired: int = 0
    peak_mb: float = 0.0


def measure_load(*, clients: int, chats: int, box: Box | None = None, max_requests: int = 0) -> Record:
    """Answer this number of chats; the worker is replaced every `max_requests` chats, 0: never."""
    return _run(clients, max_requests, box, lambda seen: len(seen.latencies_ms) >= chats)


def measure_handovers(*, clients: int, handovers: int, box: Box | None = None) -> list[Record]:
    """Chat until this number of workers was replaced; then as many chats by one worker."""
    replaced = _run(clients, CHATS_PER_WORKER, box, lambda seen: seen.retired >= handovers)
    return [replaced, measure_load(clients=clients, chats=int(replaced["chats"] or 0), box=box)]


def _run(clients: int, max_requests: int, box: Box | None, is_enough: Callable[[_Seen], bool]) -> Record:
    seen, stop, questions = _Seen(), threading.Event(), handbook_questions()
    with run_server({"MAX_REQUESTS": str(max_requests)}, box=box) as server:
        server.ask(questions[0])
        threads = [
            threading.Thread(target=_chat, args=(server, seen, stop, questions[i:] + questions[:i]))
            for i in range(clients)
        ]
        for thread in threads:
            thread.start()
        while not is_enough(seen):
            _look(server, seen)
            stop.wait(POLL_S)
        stop.set()
        for thread in threads:
            thread.join()
        return {
            "load": f"{clients} clients, MAX_REQUESTS={max_requests}",
            "workers": len(seen.pids),
            "chats": len(seen.latencies_ms),
            "failed": len(seen.failures),
            **{f"p{percent}_ms": percentile(seen.latencies_ms, percent) for percent in (50, 95, 99)},
            "slowest_ms": max(seen.latencies_ms),
            "peak_mb": seen.peak_mb,
            "peak_charged_mb": box.peak_mb if box else None,
        }


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least `percent` of them do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def _look(server: Server, seen: _Seen) -> None:
    alive = set(server.workers())
    seen.pids |= alive
    seen.retired = len(seen.pids - alive)
    seen.peak_mb = max(seen.peak_mb, server.memory().total_mb)


def _chat(server: Server, seen: _Seen, stop: threading.Event, questions: Sequence[str]) -> None:
    with requests.Session() as session:
        for question in cycle(questions):
            start = time.perf_counter()
            try:
                session.post(server.url + "/chat", json={"message": question}, timeout=120).raise_for_status()
            except requests.RequestException as exc:
                seen.failures.append(str(exc))
            seen.latencies_ms.append((time.perf_counter() - start) * 1000)
            if stop.wait(THINK_S):
                return
