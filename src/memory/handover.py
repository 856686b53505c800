"""The master's half of a replacement without a gap: who asked, who is forked for what, who retires.

    elder     serves ─ asks ──────────────── serves ─ retires, finishes its answers
                        │ TTIN                │ TTOU
    master              └ forks the successor └ stops the elder
                               │              │
    successor                  └ loads ─ ready └ accepts requests

Where memory has no room for one more worker, the elder leaves first: the master stops it, and the worker that is forked
when it has gone is its heir, which accepts at once and loads meanwhile.

One replacement at a time, whatever the number of workers: where it is lies in memory that all of them see, and a worker
that wants to be replaced waits for its turn. So there is at most one worker too many, or one too few.

A signal does not say who sent it or why. So a worker first writes a note into a pipe, and gunicorn's hooks in the
master read it. A note is written whole or not at all, and a killed worker leaves nothing locked.
"""

import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from mmap import mmap
from typing import Any, Literal

NoteKind = Literal["ask", "leave", "ready"]

logger = logging.getLogger(__name__)


class Stage(Enum):
    """Where the replacement is."""

    NONE = "no worker is being replaced"
    ASKED = "an elder has asked; the next worker that is forked is its successor"
    LEAVING = "an elder leaves first; the worker that is forked when it has gone is its heir"
    LOADING = "the successor, or the heir, loads its services"
    RETIRING = "the successor serves, and the elder finishes its answers"


_STAGES = tuple(Stage)


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
    """The one replacement that may be under way.

    It lives in the master. A worker has the copy of the moment when it was forked: so `birth` is its own. The stage and
    what is known of replacements for memory are shared.
    """

    def __init__(self) -> None:
        self.birth = Birth.FIRST
        # What all workers see: the stage; how many of them were replaced for their memory, one after another; and when
        # the last of them was.
        self._shared = memoryview(mmap(-1, 3 * 8)).cast("d")
        self._elder_pid: int | None = None
        self._successor: Any = None
        self._notes: list[Note] = []
        self._is_own_change = False
        self._has_failed_to_fork = False

    @property
    def stage(self) -> Stage:
        """Return where the replacement is."""
        return _STAGES[int(self._shared[0])]

    @property
    def memory_streak(self) -> int:
        """Return how many workers were replaced for their memory, one after another."""
        return int(self._shared[1])

    @property
    def memory_replaced_at(self) -> float:
        """Return when a worker was last replaced for its memory, by the monotonic clock; 0: none was."""
        return self._shared[2]

    def open(self, server: Any) -> None:
        """Open the pipe, which every worker inherits, and guard the master's forks; called before the first fork."""
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        os.set_blocking(self._write_end, False)
        server.spawn_worker = partial(self._fork, server, server.spawn_worker)

    def send(self, kind: NoteKind, *, is_for_memory: bool = False) -> None:
        """Write a note to the master; called in a worker."""
        os.write(self._write_end, f"{kind} {os.getpid()} {int(is_for_memory)}\n".encode())

    def end_of_load(self) -> None:
        """Let the next worker have its turn; called in an heir whose load has ended."""
        if self.stage is Stage.LOADING:
            self._move(Stage.NONE)

    def nworkers_changed(self, server: Any, new: int, old: int | None) -> None:
        """Match a change of the number of workers with the note that announced it; gunicorn's hook."""
        if old is None or self._is_own_change:
            return
        if new > old:
            self._begin(server, old)
        elif new < old:
            self._finish(server, old)

    def pre_fork(self, _server: Any, worker: Any) -> None:
        """Say what the next worker is forked for; gunicorn's hook."""
        stage = self.stage
        if stage is Stage.ASKED:
            self.birth = Birth.SUCCESSOR
        elif stage is Stage.LEAVING and self._elder_pid is None:
            self.birth = Birth.HEIR
        else:
            self.birth = Birth.FIRST
            return
        self._successor = worker
        self._move(Stage.LOADING)

    def child_exit(self, server: Any, worker: Any) -> None:
        """Note that the elder has gone, or end the replacement because its successor has; gunicorn's hook."""
        stage = self.stage
        if worker.pid == self._elder_pid and stage is Stage.LEAVING:
            self._elder_pid = None
        elif worker.pid == self._elder_pid:
            self._end(server, is_one_fewer=stage is Stage.LOADING)
        elif worker is self._successor and stage is Stage.LOADING:
            has_elder = self._elder_pid is not None
            if has_elder:
                logger.error(
                    "Hand-over failed: the successor (pid %s) is gone; pid %s stays", worker.pid, self._elder_pid
                )
            self._end(server, is_one_fewer=has_elder)

    def _fork(self, server: Any, spawn_worker: Callable[[], object]) -> None:
        """Fork a worker as gunicorn does; a fork that fails, at a limit of processes or of files, ends nothing.

        gunicorn would stop the whole server. Here the elder serves on. A worker that has died is followed by another
        when a fork succeeds again: gunicorn tries every second.
        """
        stage = self.stage
        try:
            spawn_worker()
        except OSError as exc:
            if os.getpid() != server.pid:
                raise
            self._move(stage)
            if stage is Stage.ASKED:
                logger.error("Hand-over failed: no worker can be forked (%s); pid %s stays", exc, self._elder_pid)
                self._end(server, is_one_fewer=True)
            elif not self._has_failed_to_fork:
                logger.error("No worker can be forked (%s); trying again every second", exc)
                self._has_failed_to_fork = True
        else:
            self._has_failed_to_fork = False

    def _begin(self, server: Any, old: int) -> None:
        """Replace the first that wants it; the others try again."""
        wanted = [note for note in self._take("ask", "leave") if note.pid in server.WORKERS]
        if not wanted:
            # An operator wants one more worker.
            return
        if self.stage is not Stage.NONE:
            self._set_workers(server, old)
            return
        note = wanted[0]
        self._elder_pid = note.pid
        self._take("ready")
        if note.is_for_memory:
            self._note_memory(self.memory_streak + 1, time.monotonic())
        else:
            self._note_memory(0, self.memory_replaced_at)
        self._move(Stage.LEAVING if note.kind == "leave" else Stage.ASKED)
        if note.kind == "leave":
            self._set_workers(server, old)
            server.kill_worker(note.pid, signal.SIGTERM)

    def _finish(self, server: Any, old: int) -> None:
        ready = self._take("ready")
        if ready and (self._successor is None or ready[-1].pid != self._successor.pid):
            # The elder died while its successor loaded: nobody is to be retired any more.
            self._set_workers(server, old)
        elif ready and self._elder_pid in server.WORKERS:
            # gunicorn retires the oldest; with several workers that need not be the one that asked.
            server.WORKERS[self._elder_pid].age = 0
            self._successor = None
            self._move(Stage.RETIRING)
        else:
            # An operator or a reload, which settles the number of workers anew.
            self._end(server, is_one_fewer=False)

    def _end(self, server: Any, *, is_one_fewer: bool) -> None:
        self._elder_pid, self._successor = None, None
        self._move(Stage.NONE)
        if is_one_fewer:
            self._set_workers(server, server.num_workers - 1)

    def _move(self, stage: Stage) -> None:
        self._shared[0] = _STAGES.index(stage)

    def _note_memory(self, streak: int, replaced_at: float) -> None:
        self._shared[1], self._shared[2] = streak, replaced_at

    def _set_workers(self, server: Any, number: int) -> None:
        self._is_own_change = True
        try:
            server.num_workers = number
        finally:
            self._is_own_change = False

    def _take(self, *kinds: NoteKind) -> list[Note]:
        """Take the notes of these kinds that have come; the others wait."""
        with suppress(BlockingIOError):
            lines = os.read(self._read_end, 65536).decode().splitlines()
            self._notes += [Note(kind, int(pid), flag == "1") for kind, pid, flag in map(str.split, lines)]
        taken = [note for note in self._notes if note.kind in kinds]
        self._notes = [note for note in self._notes if note not in taken]
        return taken
