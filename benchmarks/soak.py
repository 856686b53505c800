"""Thousands of chats with one worker and recycling off: does its memory grow?

Every question is a new one, so that the caches fill as they do in a long life. They are bounded, hence two slopes: over
the whole run, and over its second half, when what is bounded is full.
"""

from statistics import linear_regression

import requests

from benchmarks.questions import handbook_question, new_question
from benchmarks.running_server import run_server
from benchmarks.tables import Record

SAMPLES = 100


def measure_soak(chats: int, *, is_repeating: bool = False) -> Record:
    """Ask this number of questions, one after the other, and fit a line through the memory.

    Args:
        chats: 3 and more; two readings make a line.
        is_repeating: ask the handbook's questions over and over, so that all come from the caches.
    """
    get_question = handbook_question if is_repeating else new_question
    with run_server({"MAX_REQUESTS": "0"}) as server, requests.Session() as session:
        counts, memory_mb = [], []
        step = max(1, chats // SAMPLES)
        for number in range(chats):
            body = {"message": get_question(number)}
            session.post(server.url + "/chat", json=body, timeout=60).raise_for_status()
            if (number + 1) % step == 0:
                counts.append(number + 1)
                memory_mb.append(server.memory().anonymous_mb)
        caches = session.get(server.url + "/memory/stats", timeout=60).json()["caches"].values()
    half = len(counts) // 2
    return {
        "questions": "repeated" if is_repeating else "new",
        "chats": chats,
        "first_mb": memory_mb[0],
        "half_way_mb": memory_mb[half],
        "last_mb": memory_mb[-1],
        "growth_mb_per_10000": 10_000 * linear_regression(counts, memory_mb).slope,
        "growth_second_half_mb_per_10000": 10_000 * linear_regression(counts[half:], memory_mb[half:]).slope,
        "cached_results": sum(cache["entries"] for cache in caches),
    }
