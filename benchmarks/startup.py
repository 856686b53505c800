"""From spawn to the first answers: memory, CPU-seconds and wall time, by phase; in a box if asked."""

import statistics
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import cycle, islice
from pathlib import Path

import requests

from benchmarks.cgroup_box import Box
from benchmarks.process_memory import TreeMemory
from benchmarks.questions import handbook_questions
from benchmarks.running_server import ROOT, SERVE, Server, run_server
from benchmarks.tables import Record

PEAK_INTERVAL_S = 0.25
WARM_QUESTIONS = 40
CLIENTS = 30


def measure_startup(
    name: str,
    *,
    environment: Mapping[str, str] | None = None,
    box: Box | None = None,
    command: Sequence[str] = SERVE,
    cwd: Path = ROOT,
) -> Record:
    """Start a server once and ask it: one first question, forty in turn, thirty at once.

    Memory is that of all processes as if alone on the machine (`process_memory.py`). Times are from spawn.
    """
    questions = cycle(handbook_questions())
    with run_server({"MAX_REQUESTS": "0", **(environment or {})}, box=box, command=command, cwd=cwd) as server:
        start, start_cpu_s = server.memory(), server.cpu_s()
        first_answer_s = _time_ask(server, next(questions))
        first, first_cpu_s = server.memory(), server.cpu_s()
        times_s = [_time_ask(server, question) for question in islice(questions, WARM_QUESTIONS)]
        warm_memory, warm_cpu_s = server.memory(), server.cpu_s() - first_cpu_s
        with watching_peak(server) as peaks:
            answered, at_once_s = _ask_at_once(server, list(islice(questions, CLIENTS)))
        return {
            "server": name,
            **_memory("start", start),
            **_memory("first_answer", first),
            **_memory("warm", warm_memory),
            "peak_mb": max(peaks),
            "peak_charged_mb": box.peak_mb if box else None,
            "start_cpu_s": start_cpu_s,
            "first_answer_cpu_s": first_cpu_s,
            "ready_s": server.ready_s,
            "first_answer_s": server.ready_s + first_answer_s,
            "warm_p50_ms": 1000 * statistics.median(times_s),
            "warm_cpu_ms": 1000 * warm_cpu_s / WARM_QUESTIONS,
            "answered_at_once": f"{answered} of {CLIENTS}",
            "at_once_s": at_once_s,
            **_load_steps(server),
        }


def _time_ask(server: Server, question: str) -> float:
    """Ask one question; return the seconds until its answer."""
    start = time.perf_counter()
    server.ask(question)
    return time.perf_counter() - start


@contextmanager
def watching_peak(server: Server) -> Iterator[list[float]]:
    """Note the memory of all processes every quarter of a second; the largest of the list is the peak."""
    seen_mb = [server.memory().total_mb]
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(PEAK_INTERVAL_S):
            seen_mb.append(server.memory().total_mb)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen_mb
    finally:
        stop.set()
        thread.join()


def _memory(when: str, memory: TreeMemory) -> dict[str, float]:
    return {
        f"{when}_mb": memory.total_mb,
        f"{when}_pss_mb": memory.pss_mb,
        f"{when}_anonymous_mb": memory.anonymous_mb,
    }


def _load_steps(server: Server) -> dict[str, float]:
    """Ask the server what its own heavy steps cost; another server has no such page."""
    response = server.get("/memory/stats")
    if not response.ok:
        return {}
    costs = {}
    for step in response.json()["steps"]:
        name = "load_" + step["step"].replace(" ", "_")
        costs[f"{name}_mb"] = step["after_mb"] - step["before_mb"]
        costs[f"{name}_s"] = step["seconds"]
    return costs


def _ask_at_once(server: Server, questions: list[str]) -> tuple[int, float]:
    """Ask all at once; return how many were answered, and the seconds until the last answer."""
    answered = []

    def ask(question: str) -> None:
        with suppress(requests.RequestException):
            server.ask(question)
            answered.append(time.perf_counter())

    start = time.perf_counter()
    with ThreadPoolExecutor(len(questions)) as pool:
        list(pool.map(ask, questions))
    return len(answered), max(answered, default=start) - start
