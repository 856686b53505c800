"""The master's half by itself: gunicorn's arbiter is played, the pipe is real."""

import os
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from src.memory.handover import Birth, Handover, NoteKind, Stage


class Master:
    """Changes the number of workers and forks as gunicorn's arbiter does, and calls the hooks where it does."""

    def __init__(self, handover: Handover, workers: int) -> None:
        self.handover = handover
        self.WORKERS: dict[int, Any] = {}
        self.births: dict[int, Birth] = {}
        self.told_to_stop: list[int] = []
        self.pid = os.getpid()
        self.can_fork = True
        self._number = workers
        handover.open(self)
        self.fork()

    @property
    def num_workers(self) -> int:
        return self._number

    @num_workers.setter
    def num_workers(self, number: int) -> None:
        old, self._number = self._number, number
        self.handover.nworkers_changed(self, number, old)

    def ttin(self) -> None:
        self.num_workers += 1
        self.fork()

    def kill_worker(self, pid: int, sign: int) -> None:
        self.told_to_stop.append(pid)

    def ttou(self) -> int:
        """Stop the oldest; its pid."""
        self.num_workers -= 1
        if len(self.WORKERS) <= self.num_workers:
            return 0
        oldest = min(self.WORKERS.values(), key=lambda worker: worker.age)
        self.exit(oldest.pid)
        return int(oldest.pid)

    def exit(self, *pids: int) -> None:
        for pid in pids:
            self.handover.child_exit(self, self.WORKERS.pop(pid))
        self.fork()

    def fork(self) -> None:
        for _ in range(self.num_workers - len(self.WORKERS)):
            self.spawn_worker()

    def spawn_worker(self) -> None:
        pid = len(self.births) + 1
        worker = SimpleNamespace(pid=None, age=pid)
        self.handover.pre_fork(self, worker)
        if not self.can_fork:
            raise BlockingIOError("no more processes")
        worker.pid = pid
        self.WORKERS[pid], self.births[pid] = worker, self.handover.birth


@pytest.fixture
def handover() -> Iterator[Handover]:
    handover = Handover()
    yield handover
    os.close(handover._read_end)
    os.close(handover._write_end)


def note(
    handover: Handover, monkeypatch: pytest.MonkeyPatch, pid: int, kind: NoteKind, *, is_for_memory: bool = False
) -> None:
    """Write a note as the worker with this pid."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: pid)
        handover.send(kind, is_for_memory=is_for_memory)


def test_elder_that_asked_is_followed_by_its_successor(handover: Handover, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two workers the younger asks: it goes, though gunicorn would stop the oldest."""
    master = Master(handover, 2)
    note(handover, monkeypatch, 2, "ask")
    master.ttin()
    note(handover, monkeypatch, 3, "ready")
    assert master.ttou() == 2
    assert master.births == {1: Birth.FIRST, 2: Birth.FIRST, 3: Birth.SUCCESSOR}
    assert (sorted(master.WORKERS), master.num_workers) == ([1, 3], 2)


def test_second_ask_waits_until_the_hand_over_is_done(handover: Handover, monkeypatch: pytest.MonkeyPatch) -> None:
    """One successor at a time, or memory would be full of them. A worker that asks after that is served."""
    master = Master(handover, 2)
    note(handover, monkeypatch, 1, "ask")
    master.ttin()
    note(handover, monkeypatch, 2, "ask")
    master.ttin()
    assert sorted(master.WORKERS) == [1, 2, 3]
    note(handover, monkeypatch, 3, "ready")
    assert master.ttou() == 1
    note(handover, monkeypatch, 2, "ask")
    master.ttin()
    assert master.births[4] is Birth.SUCCESSOR


def test_ask_of_a_dead_worker_and_an_operator_s_signal_begin_no_hand_over(
    handover: Handover, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More and fewer workers on purpose: they stay as many as was asked for, the oldest goes."""
    master = Master(handover, 1)
    note(handover, monkeypatch, 99, "ask")
    master.ttin()
    assert (master.births[2], master.num_workers) == (Birth.FIRST, 2)
    assert master.ttou() == 1
    assert (sorted(master.WORKERS), master.num_workers) == ([2], 1)


def test_operator_s_signal_during_a_hand_over_stops_the_oldest(
    handover: Handover, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a ready note chooses the elder; its successor then takes nobody's place."""
    master = Master(handover, 2)
    note(handover, monkeypatch, 2, "ask")
    master.ttin()
    assert master.ttou() == 1
    assert (sorted(master.WORKERS), master.num_workers) == ([2, 3], 2)


def test_successor_that_dies_ends_the_hand_over(
    handover: Handover, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The elder stays the only one, and may ask again; the log says so."""
    master = Master(handover, 1)
    for successor in (2, 3):
        note(handover, monkeypatch, 1, "ask")
        master.ttin()
        assert master.births[successor] is Birth.SUCCESSOR
        master.exit(successor)
        assert (sorted(master.WORKERS), master.num_workers) == ([1], 1)
    assert [line.partition(": ")[2] for line in caplog.messages] == [
        "the successor (pid 2) is gone; pid 1 stays", "the successor (pid 3) is gone; pid 1 stays"
    ]  # fmt: skip


def test_elder_that_dies_leaves_its_successor_alone(
    handover: Handover, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With another worker beside them, the ready note must not cost that one its life."""
    master = Master(handover, 2)
    note(handover, monkeypatch, 1, "ask")
    master.ttin()
    master.exit(1)
    note(handover, monkeypatch, 3, "ready")
    assert master.ttou() == 0
    assert (sorted(master.WORKERS), master.num_workers) == ([2, 3], 2)
    assert caplog.messages == []


def test_worker_that_is_no_part_of_the_hand_over_dies_without_ending_it(
    handover: Handover, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is followed by another first worker; the successor stays the successor."""
    master = Master(handover, 2)
    note(handover, monkeypatch, 1, "ask")
    master.ttin()
    master.exit(2)
    assert (master.births[4], master.num_workers) == (Birth.FIRST, 3)
    note(handover, monkeypatch, 3, "ready")
    assert master.ttou() == 1
    assert sorted(master.WORKERS) == [3, 4]


def test_retiring_elder_ends_its_answers_before_the_next_has_its_turn(
    handover: Handover, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it has gone there is one worker too many already."""
    master = Master(handover, 2)
    note(handover, monkeypatch, 1, "ask")
    master.ttin()
    note(handover, monkeypatch, 3, "ready")
    master.num_workers -= 1
    assert handover.stage is Stage.RETIRING
    note(handover, monkeypatch, 2, "ask")
    master.ttin()
    assert (sorted(master.WORKERS), master.num_workers) == ([1, 2, 3], 2)
    master.exit(1)
    assert (sorted(master.WORKERS), master.num_workers, handover.stage) == ([2, 3], 2, Stage.NONE)


def test_workers_leave_first_one_at_a_time(handover: Handover, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two want to in one moment: the first is stopped, and the other when the heir has loaded and it asks again."""
    master = Master(handover, 2)
    note(handover, monkeypatch, 1, "leave")
    note(handover, monkeypatch, 2, "leave")
    master.ttin()
    assert (master.told_to_stop, master.num_workers) == ([1], 2)
    master.exit(1)
    assert (master.births[3], handover.stage) == (Birth.HEIR, Stage.LOADING)
    note(handover, monkeypatch, 2, "leave")
    master.ttin()
    assert (master.told_to_stop, sorted(master.WORKERS)) == ([1], [2, 3])
    handover.end_of_load()
    note(handover, monkeypatch, 2, "leave")
    master.ttin()
    master.exit(2)
    assert (master.told_to_stop, master.births[4]) == ([1, 2], Birth.HEIR)


def test_worker_that_dies_while_another_leaves_has_no_heir(handover: Handover, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its follower loads with the first chat; the heir is who follows the worker that left."""
    master = Master(handover, 2)
    note(handover, monkeypatch, 1, "leave")
    master.ttin()
    master.exit(2)
    master.exit(1)
    assert (master.births[3], master.births[4]) == (Birth.FIRST, Birth.HEIR)


def test_heir_that_dies_in_its_load_ends_the_turn(handover: Handover, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is followed as any worker is, and the others may be replaced."""
    master = Master(handover, 2)
    note(handover, monkeypatch, 1, "leave")
    master.ttin()
    master.exit(1)
    master.exit(3)
    assert (master.births[4], master.num_workers, handover.stage) == (Birth.FIRST, 2, Stage.NONE)


def test_heir_that_has_loaded_and_dies_later_ends_nobody_s_turn(
    handover: Handover, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By then another worker may have a successor that loads."""
    master = Master(handover, 2)
    note(handover, monkeypatch, 1, "leave")
    master.ttin()
    master.exit(1)
    handover.end_of_load()
    note(handover, monkeypatch, 2, "ask")
    master.ttin()
    master.exit(3)
    assert (master.births[4], handover.stage, master.num_workers) == (Birth.SUCCESSOR, Stage.LOADING, 3)


def test_stage_is_seen_in_every_worker(handover: Handover, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was forked before sees it too, and what is known of replacements for memory."""
    master = Master(handover, 2)
    read_end, write_end = os.pipe()
    if (pid := os.fork()) == 0:
        os.read(read_end, 1)
        seen = handover.stage is Stage.LOADING and handover.memory_streak == 1 and handover.memory_replaced_at > 0
        os._exit(seen)
    note(handover, monkeypatch, 1, "ask", is_for_memory=True)
    master.ttin()
    os.write(write_end, b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    os.close(read_end)
    os.close(write_end)


def test_replacements_for_memory_are_counted_while_they_follow_one_another(
    handover: Handover, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The streak ends with the first worker that is replaced for its chats."""
    master = Master(handover, 1)
    streaks = []
    for pid, is_for_memory in ((1, True), (2, True), (3, False), (4, True)):
        note(handover, monkeypatch, pid, "leave", is_for_memory=is_for_memory)
        master.ttin()
        master.exit(pid)
        handover.end_of_load()
        streaks.append(handover.memory_streak)
    note(handover, monkeypatch, 5, "ask", is_for_memory=True)
    master.ttin()
    assert [*streaks, handover.memory_streak] == [1, 2, 0, 1, 2]


def test_reload_with_as_many_workers_changes_nothing(handover: Handover, monkeypatch: pytest.MonkeyPatch) -> None:
    """gunicorn sets the number anew: a worker that has asked is no elder yet, and a hand-over goes on."""
    master = Master(handover, 1)
    note(handover, monkeypatch, 1, "ask")
    master.num_workers = 1
    master.exit(1)
    assert (sorted(master.WORKERS), master.num_workers) == ([2], 1)
    note(handover, monkeypatch, 2, "ask")
    master.ttin()
    master.num_workers = 2
    note(handover, monkeypatch, 3, "ready")
    assert master.ttou() == 2


def test_failed_fork_ends_the_hand_over_and_leaves_the_elder(
    handover: Handover, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """At a limit of processes or files; the elder may ask again."""
    master = Master(handover, 1)
    note(handover, monkeypatch, 1, "ask")
    master.can_fork = False
    master.ttin()
    assert (sorted(master.WORKERS), master.num_workers) == ([1], 1)
    assert caplog.messages == ["Hand-over failed: no worker can be forked (no more processes); pid 1 stays"]
    master.can_fork = True
    note(handover, monkeypatch, 1, "ask")
    master.ttin()
    assert master.births[2] is Birth.SUCCESSOR


def test_failed_fork_of_an_heir_is_said_once_and_tried_again(
    handover: Handover, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """gunicorn tries every second; the next failure after a success is said again."""
    master = Master(handover, 2)
    for pid in (1, 2):
        note(handover, monkeypatch, pid, "leave")
        master.ttin()
        master.can_fork = False
        master.exit(pid)
        master.fork()
        master.can_fork = True
        master.fork()
        handover.end_of_load()
    assert master.births == {1: Birth.FIRST, 2: Birth.FIRST, 3: Birth.HEIR, 4: Birth.HEIR}
    assert caplog.messages == ["No worker can be forked (no more processes); trying again every second"] * 2


def test_error_in_the_forked_worker_is_its_own(handover: Handover) -> None:
    """The same code runs there; it must not go on as a second master."""
    master = Master(handover, 1)
    master.pid, master.can_fork = 0, False
    with pytest.raises(BlockingIOError, match="no more"):
        master.ttin()
