"""The charge is a cgroup folder whose numbers the test writes; the process is this one."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from src.errors import ServiceUnavailable
from src.memory import memory_manager
from src.memory.memory_manager import MemoryManager
from src.memory.memory_probe import MemoryProbe
from src.memory.process_tree import read_own_memory_mb
from src.records import MemoryMode

MB = 1024 * 1024
NORMAL, CAUTIOUS, DEGRADED = MemoryMode


class Server:
    """A manager whose charge is set by hand, and what it did."""

    def __init__(self, folder: Path) -> None:
        self.done: list[str] = []
        self._group = folder / "cgroup"
        self._group.mkdir()
        (folder / "proc/self").mkdir(parents=True)
        (folder / "proc/self/cgroup").write_text("0::/\n")
        (self._group / "memory.max").write_text(str(100 * MB))
        (self._group / "memory.stat").write_text("inactive_file 0\n")
        self.charge(10)
        probe = MemoryProbe(512, cgroup_root=self._group, proc=folder / "proc")
        self.manager = MemoryManager(probe, replace_worker=lambda reason: self.done.append("replace"))
        self.manager.on_pressure(self.note("drop"))
        self.manager.on_exhaustion(self.note("unload"))

    def note(self, word: str) -> Callable[[], None]:
        return lambda: self.done.append(word)

    def charge(self, percent: float) -> None:
        (self._group / "memory.current").write_text(str(int(percent * MB)))

    def observe(self, percent: float) -> MemoryMode:
        self.charge(percent)
        return self.manager.observe()


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


def test_each_threshold_is_acted_on_once(server: Server) -> None:
    """CAUTIOUS drops the caches, DEGRADED asks for a fresh worker as well; staying there does nothing more."""
    modes = [server.observe(percent) for percent in (50, 79, 80, 81, 89, 90, 91)]
    assert modes == [NORMAL, CAUTIOUS, CAUTIOUS, CAUTIOUS, DEGRADED, DEGRADED, DEGRADED]
    assert server.done == ["drop", "drop", "replace"]


def test_each_transition_is_logged_counted_and_kept(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """One line, one count and one entry for each change of the mode, however many chats there were."""
    with caplog.at_level(logging.WARNING):
        for percent in (50, 79, 80, 60, 61, 79):
            server.observe(percent)
    modes = [message for message in caplog.messages if message.startswith("Memory mode")]
    assert [message.split(":")[0] for message in modes] == [
        "Memory mode NORMAL -> CAUTIOUS",
        "Memory mode CAUTIOUS -> NORMAL",
        "Memory mode NORMAL -> CAUTIOUS",
    ]
    assert [(change.before, change.after) for change in server.manager.history] == [
        (NORMAL, CAUTIOUS),
        (CAUTIOUS, NORMAL),
        (NORMAL, CAUTIOUS),
    ]
    assert server.manager.counts["to_cautious"] == 2


def test_exhaustion_unloads_once_and_refuses_each_chat(server: Server) -> None:
    """Where unloading does not help, chats are told when to come back, and the mode is plain to see."""
    for _ in range(3):
        with pytest.raises(ServiceUnavailable, match=r"no memory left for a chat.*MEMORY_LIMIT_MB") as caught:
            server.observe(400)
        assert caught.value.retry_after_s > 0
    assert server.done.count("unload") == 1
    assert server.manager.mode is DEGRADED
    assert server.manager.read().percent == 400


def test_unloading_that_helps_lets_the_chat_through_degraded(server: Server) -> None:
    """The services stay unloaded for a while: loading them at once would only fill memory again."""
    server.manager.on_exhaustion(lambda: server.charge(40))
    assert server.observe(96) is DEGRADED
    assert server.observe(40) is DEGRADED
    assert server.manager.counts["exhausted"] == 1


def test_rest_after_exhaustion_ends(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the rest the mode is what memory says."""
    monkeypatch.setattr(memory_manager, "REST_AFTER_EXHAUSTION_S", 0.0)
    server.manager.on_exhaustion(lambda: server.charge(40))
    server.observe(96)
    assert server.observe(40) is NORMAL


def test_measure_notes_what_a_step_costs_and_gives_back(server: Server) -> None:
    """30 MB in small blocks: freed, they stay with the C heap until it is trimmed."""
    with server.manager.measure("load"):
        blocks = [bytes(1000) for _ in range(30 * 1024)]
        blocks.append(bytes(1000))
        keep = blocks.pop()
        loaded_mb, _ = read_own_memory_mb()
        del blocks
    (step,) = server.manager.steps
    assert step.step == "load"
    assert loaded_mb - step.before_mb > 20
    assert step.after_mb - step.given_back_mb < loaded_mb - 20
    assert len(keep) == 1000


def test_measure_notes_a_step_that_fails(server: Server) -> None:
    """A load that fails has cost memory too."""
    with pytest.raises(MemoryError), server.manager.measure("load"):
        raise MemoryError
    assert [step.step for step in server.manager.steps] == ["load"]
