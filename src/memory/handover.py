"""The master's half of a replacement without a gap: who asked, who is forked for what, who retires.

    elder     serves ─ asks ──────────────── serves ─ retires, finishes its answers
                        │ TTIN                │ TTOU
    master              └ forks the successor └ stops the elder
                               │              │
    successor                  └ loads ─ ready └ accepts requests

Where memory has no room for two workers, the elder says that it leaves, finishes its answers and ends; the worker that
the master then forks is its heir, which accepts at once and loads meanwhile.

A signal does not say who sent it or why. So a worker first writes a note into a pipe, and gunicorn's hooks in the
master read it. A note is written whole or not at all, and a killed worker leaves nothing locked.
"""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, Literal

NoteKind = Literal["ask", "ready", "leave"]

logger = logging.getLogger(__name__)


class Stage(Enum):
    """Where the hand-over is."""

    NONE = "no worker is being replaced"
    ASKED = "an elder has asked; the next worker that is forked is its successor"
    LOADING = "the successor loads its services while the elder serves"


class Birth(Enum):
    """What a worker was forked for."""

    FIRST = "the server starts, or a worker has died"
    SUCCESSOR = "to take over from an elder that still serves"
    HEIR = "to follow an elder that had to leave first"


@dataclass(frozen=True, slots=True)
class Note:
    """One line of the pipe; `is_for_memory` tells why a worker asks or leaves."""

    kind: str
    pid: int
    is_for_memory: bool


class Handover:
    """The one hand-over that may be under way, whatever the number of workers.

    It lives in the master. A worker has the copy of the moment when it was forked: so `birth` is its own, and
    `memory_streak` says how many workers before it were replaced for their memory, one after another.
    """

    def __init__(self) -> None:
        self.birth = Birth.FIRST
        self.memory_streak = 0
        self._stage = Stage.NONE
        self._elder_pid: int | None = None
        self._successor: Any = None
        self._heirs_due = 0
        self._notes: list[Note] = []
        self._is_own_change = False
        self._has_failed_to_fork = False

    def open(self, server: Any) -> None:
        """Open the pipe, which every worker inherits, and guard the master's forks; called before the first fork."""
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        os.set_blocking(self._write_end, False)
        server.spawn_worker = partial(self._fork, server, server.spawn_worker)

    def send(self, kind: NoteKind, *, is_for_memory: bool = False) -> None:
        """Write a note to the master; called in a worker."""
        os.write(self._write_end, f"{kind} {os.getpid()} {int(is_for_memory)}\n".encode())

    def nworkers_changed(self, server: Any, new: int, old: int | None) -> None:
        """Match a change of the number of workers with the note that announced it; gunicorn's hook."""
        if old is None or self._is_own_change:
            return
        self._receive()
        if new > old:
            self._begin(server, old)
        elif new < old:
            self._finish(server, old)

    def pre_fork(self, _server: Any, worker: Any) -> None:
        """Say what the next worker is forked for; gunicorn's hook."""
        if self._heirs_due:
            self._heirs_due -= 1
            self.birth = Birth.HEIR
        elif self._stage is Stage.ASKED:
            self._stage, self._successor = Stage.LOADING, worker
            self.birth = Birth.SUCCESSOR
        else:
            self.birth = Birth.FIRST

    def child_exit(self, server: Any, worker: Any) -> None:
        """Expect an heir of a worker that left; end the hand-over if one of its two is gone; gunicorn's hook."""
        self._receive()
        is_elder, is_successor = worker.pid == self._elder_pid, worker is self._successor
        for note in self._take("leave", worker.pid):
            # An elder that leaves while its successor loads has a follower already.
            if not is_elder:
                self._heirs_due += 1
                self._count(note)
        if not (is_elder or is_successor):
            return
        if is_successor:
            logger.error("Hand-over failed: the successor (pid %s) is gone; pid %s stays", worker.pid, self._elder_pid)
        self._end()
        self._set_workers(server, server.num_workers - 1)

    def _fork(self, server: Any, spawn_worker: Callable[[], object]) -> None:
        """Fork a worker as gunicorn does; a fork that fails, at a limit of processes or of files, ends nothing.

        gunicorn would stop the whole server. Here the elder serves on. A worker that has died is followed by another
        when a fork succeeds again: gunicorn tries every second.
        """
        heirs_due, stage = self._heirs_due, self._stage
        try:
            spawn_worker()
        except OSError as exc:
            if os.getpid() != server.pid:
                raise
            self._heirs_due, self._stage = heirs_due, stage
            if stage is Stage.ASKED:
                logger.error("Hand-over failed: no worker can be forked (%s); pid %s stays", exc, self._elder_pid)
                self._end()
                self._set_workers(server, server.num_workers - 1)
            elif not self._has_failed_to_fork:
                logger.error("No worker can be forked (%s); trying again every second", exc)
                self._has_failed_to_fork = True
        else:
            self._has_failed_to_fork = False

    def _begin(self, server: Any, old: int) -> None:
        asks = [note for note in self._take("ask") if note.pid in server.WORKERS]
        if not asks:
            # An operator wants one more worker.
            return
        if self._stage is not Stage.NONE:
            self._set_workers(server, old)
            return
        self._stage, self._elder_pid = Stage.ASKED, asks[0].pid
        self._count(asks[0])
        self._take("ready")

    def _finish(self, server: Any, old: int) -> None:
        ready = self._take("ready")
        if ready and (self._successor is None or ready[-1].pid != self._successor.pid):
            # The elder died while its successor loaded: nobody is to be retired any more.
            self._set_workers(server, old)
            return
        if ready and self._elder_pid in server.WORKERS:
            # gunicorn retires the oldest; with several workers that need not be the one that asked.
            server.WORKERS[self._elder_pid].age = 0
        # Without a note it was an operator or a reload, which settles the number of workers anew.
        self._end()

    def _end(self) -> None:
        self._stage, self._elder_pid, self._successor = Stage.NONE, None, None

    def _set_workers(self, server: Any, number: int) -> None:
        self._is_own_change = True
        try:
            server.num_workers = number
        finally:
            self._is_own_change = False

    def _count(self, note: Note) -> None:
        self.memory_streak = self.memory_streak + 1 if note.is_for_memory else 0

    def _receive(self) -> None:
        try:
            lines = os.read(self._read_end, 65536).decode().splitlines()
        except BlockingIOError:
            return
        for kind, pid, is_for_memory in map(str.split, lines):
            self._notes.append(Note(kind, int(pid), is_for_memory == "1"))

    def _take(self, kind: NoteKind, pid: int | None = None) -> list[Note]:
        taken = [note for note in self._notes if note.kind == kind and pid in (None, note.pid)]
        self._notes = [note for note in self._notes if note not in taken]
        return taken
