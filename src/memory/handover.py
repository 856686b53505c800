"""The master's half of a gap-free replacement: who asked for a successor, who it is, who retires.

A worker writes a line into a pipe and then signals the master: `ask` with SIGTTIN (a second worker, please), `ready`
with SIGTTOU (I am warm, retire the elder), `leave` without a signal (no room for two: I go first). gunicorn's own
arbiter does the rest; its hooks, all called in the master, read the pipe. A pipe because a line is written whole or not
at all and nothing stays locked when a worker is killed. What the elder's caches hold goes through an unnamed file.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_UN, lockf
from tempfile import TemporaryFile
from typing import Any, Literal

MessageKind = Literal["ask", "ready", "leave"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """One line of the pipe; `is_for_memory` tells why a worker asks or leaves."""

    kind: str
    pid: int
    is_for_memory: bool


class Handover:
    """The one hand-over that may be under way, whatever the number of workers.

    It is made before the first fork, so that every worker inherits the pipe, and with it the state at its birth.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        with TemporaryFile() as file:
            self._caches = os.dup(file.fileno())
        self._inbox: list[Message] = []
        self._elder: int | None = None
        self._successor: Any = None
        self._heir: Any = None
        self._is_own_change = False
        self.memory_streak = 0

    def send(self, kind: MessageKind, *, is_for_memory: bool = False) -> None:
        """Tell the master something; called in a worker."""
        os.write(self._writer, f"{kind} {os.getpid()} {int(is_for_memory)}\n".encode())

    def pass_on(self, caches: bytes) -> None:
        """Leave the next successor what it may start with, in the place of what was left before."""
        with self._locked_caches() as descriptor:
            os.ftruncate(descriptor, 0)
            try:
                is_whole = os.pwrite(descriptor, caches, 0) == len(caches)
            except OSError:
                is_whole = False
            if not is_whole:
                logger.warning(
                    "The caches could not be passed on (is the disk full?); the successor starts with empty ones"
                )
                os.ftruncate(descriptor, 0)

    def inherit(self) -> bytes:
        """Return what the last elder left."""
        with self._locked_caches() as descriptor:
            return os.pread(descriptor, os.fstat(descriptor).st_size, 0)

    def is_successor(self, worker: Any) -> bool:
        """Tell whether this worker was forked to relieve one that still serves."""
        return worker is self._successor

    def is_heir(self, worker: Any) -> bool:
        """Tell whether this worker was forked after a loaded one had to go first."""
        return worker is self._heir

    def nworkers_changed(self, server: Any, new: int, old: int | None) -> None:
        """Match a change of the number of workers with the message that announced it; gunicorn's hook."""
        if old is None or self._is_own_change:
            return
        self._receive()
        if new > old:
            self._begin(server, old)
        elif new < old:
            self._finish(server, old)

    def pre_fork(self, _server: Any, worker: Any) -> None:
        """Mark the next worker as what it is forked for; gunicorn's hook."""
        if self._heir is True:
            self._heir = worker
        elif self._elder is not None and self._successor is None:
            self._successor = worker

    def child_exit(self, server: Any, worker: Any) -> None:
        """Call the hand-over off when one of the two is gone before it is done; gunicorn's hook."""
        self._receive()
        for message in self._take("leave"):
            if message.pid == worker.pid:
                self._heir = True
                self._count(message)
        if self._elder is None or (worker is not self._successor and worker.pid != self._elder):
            return
        if worker is self._successor:
            logger.error("Hand-over failed: the successor (pid %s) is gone; pid %s stays", worker.pid, self._elder)
        self._forget()
        self._set_workers(server, server.num_workers - 1)

    @contextmanager
    def _locked_caches(self) -> Iterator[int]:
        lockf(self._caches, LOCK_EX)
        try:
            yield self._caches
        finally:
            lockf(self._caches, LOCK_UN)

    def _begin(self, server: Any, old: int) -> None:
        asks = [message for message in self._take("ask") if message.pid in server.WORKERS]
        if not asks:
            return
        if self._elder is not None:
            self._set_workers(server, old)
            return
        self._elder = asks[0].pid
        self._count(asks[0])
        self._take("ready")

    def _finish(self, server: Any, old: int) -> None:
        ready = self._take("ready")
        if ready and (self._successor is None or ready[-1].pid != self._successor.pid):
            # The elder died while its successor warmed: nobody is to be retired any more.
            self._set_workers(server, old)
            return
        if ready and self._elder in server.WORKERS:
            # gunicorn retires the oldest; with several workers that need not be the one that asked.
            server.WORKERS[self._elder].age = 0
        # Without a message it was an operator or a reload, which settles the number of workers anew.
        self._forget()

    def _forget(self) -> None:
        self._elder = self._successor = None

    def _set_workers(self, server: Any, number: int) -> None:
        self._is_own_change = True
        try:
            server.num_workers = number
        finally:
            self._is_own_change = False

    def _count(self, message: Message) -> None:
        self.memory_streak = self.memory_streak + 1 if message.is_for_memory else 0

    def _receive(self) -> None:
        try:
            lines = os.read(self._reader, 65536).decode().splitlines()
        except BlockingIOError:
            return
        for kind, pid, is_for_memory in map(str.split, lines):
            self._inbox.append(Message(kind, int(pid), is_for_memory == "1"))

    def _take(self, kind: MessageKind) -> list[Message]:
        taken = [message for message in self._inbox if message.kind == kind]
        self._inbox = [message for message in self._inbox if message.kind != kind]
        return taken
