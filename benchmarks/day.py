"""A day of 1,000 questions in minutes: chats, the host's probes and page visits, through all hand-overs.

Nothing is left out but the pauses. A line for each worker tells what the server was charged over that worker's life.
"""

import re
from collections.abc import Sequence
from itertools import chain

import requests

from benchmarks.cgroup_box import Box
from benchmarks.questions import new_question
from benchmarks.running_server import Server, run_server
from benchmarks.tables import Record

QUESTIONS_PER_DAY = 1000
# Render probes every 5 seconds.
PROBES_PER_QUESTION = round(24 * 3600 / 5 / QUESTIONS_PER_DAY)
QUESTIONS_PER_VISIT = 5
MB_PER_BLOCK = 8
# Scripts, styles and the icon, at whatever address.
NAMED_FILE = re.compile(r'<(?:script|link)\b[^>]* (?:src|href)="([^"]+)"')


def measure_day(box: Box, questions: int) -> Sequence[Record]:
    """Let a day pass in a box, or the share of one that has this number of questions; the last line sums it up."""
    # By the pid of the newest worker: the MB charged after each of its chats.
    charged_mb: dict[int, list[float]] = {}
    failures = 0
    with run_server(box=box) as server, requests.Session() as session:
        for number in range(questions):
            if number % QUESTIONS_PER_VISIT == 0:
                failures += visit(session, server)
            failures += [_get(session, server, "/health") for _ in range(PROBES_PER_QUESTION)].count(None)
            failures += not _ask(session, server, number)
            newest = max({*charged_mb, *server.workers()})
            charged_mb.setdefault(newest, []).append(box.working_set_mb)
    rows = [_row(f"worker {number}", life_mb, None) for number, life_mb in enumerate(charged_mb.values(), 1)]
    return [*rows, _row("the day", list(chain.from_iterable(charged_mb.values())), failures)]


def _row(name: str, charged_mb: Sequence[float], failures: int | None) -> Record:
    return {
        "life": name,
        "chats": len(charged_mb),
        "first_mb": charged_mb[0],
        "highest_mb": max(charged_mb),
        "last_mb": charged_mb[-1],
        "failed": failures,
        "last_mb_drawn": "█" * round(charged_mb[-1] / MB_PER_BLOCK),
    }


def visit(session: requests.Session, server: Server) -> int:
    """Load the page, the files that it names and the suggestions, as a browser does; return how many failed."""
    page = _get(session, server, "/")
    paths = [*NAMED_FILE.findall(page or ""), "/suggestions"]
    return [page, *(_get(session, server, path) for path in paths)].count(None)


def _get(session: requests.Session, server: Server, path: str) -> str | None:
    """Return the body, None if the request failed."""
    try:
        response = session.get(server.url + path, timeout=60)
        response.raise_for_status()
    except requests.RequestException:
        return None
    return response.text


def _ask(session: requests.Session, server: Server, number: int) -> bool:
    try:
        return session.post(server.url + "/chat", json={"message": new_question(number)}, timeout=60).ok
    except requests.RequestException:
        return False
