"""What the manager does with a charge and a process whose numbers the test sets."""

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from src.errors import ServiceUnavailable
from src.memory import memory_manager
from src.memory.memory_manager import MemoryManager
from src.memory.memory_probe import MemoryProbe, MemoryReading
from src.records import MemoryMode
from tests.conftest import ROOT
from tests.memory.fake_memory import FakeMemory

NORMAL, CAUTIOUS, DEGRADED = MemoryMode


def make_manager(probe: MemoryProbe, **given: Any) -> MemoryManager:
    """Frees nothing, asks for no worker, and alerts where the settings say, unless something else is given."""
    nothing = dict.fromkeys(("replace_worker", "drop_caches", "unload_services"), lambda *_: None)
    alerts = {"alert_percent": (78, 88, 95), "alert_vms_mb": (2048, 3072, 4096)}
    return MemoryManager(probe, **{**nothing, **alerts, **given})


class Server:
    """A manager of a server with a given limit, 200 MB, whose memory is set by hand, and what the manager did."""

    def __init__(self, folder: Path, alert_percent: Sequence[float] = (78, 88, 95), limit_mb: int = 200) -> None:
        self.done: list[str | None] = []
        self.left_by_unload: float | None = None
        self._limit_mb = limit_mb
        self._memory = FakeMemory(folder, limit_mb)
        self.hold = self._memory.hold
        self.charge(10)
        self.hold(50)
        self.manager = make_manager(
            self._memory.probe,
            replace_worker=self.done.append,
            drop_caches=self.note("drop"),
            unload_services=self.unload,
            alert_percent=alert_percent,
        )

    def note(self, word: str) -> Callable[[], None]:
        return lambda: self.done.append(word)

    def unload(self) -> None:
        self.done.append("unload")
        if self.left_by_unload is not None:
            self.charge(self.left_by_unload)

    def charge(self, percent: float) -> None:
        self._memory.charge(percent * self._limit_mb / 100)

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
    assert server.done == ["drop", "drop", "memory at 89%"]


def test_mode_that_becomes_better_frees_nothing(server: Server) -> None:
    """Memory that is there again must not cost the caches that are left, nor the worker: a sibling gave it back."""
    server.observe(89)
    server.done.clear()
    assert [server.observe(79), server.observe(50)] == [CAUTIOUS, NORMAL]
    assert server.done == [None]


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
    assert [(change.before, change.after, change.percent) for change in server.manager.history] == [
        (NORMAL, CAUTIOUS, 79),
        (CAUTIOUS, NORMAL, 60),
        (NORMAL, CAUTIOUS, 79),
    ]
    assert server.manager.counts["to_cautious"] == 2


def test_exhaustion_unloads_once_and_refuses_each_chat(server: Server) -> None:
    """Where unloading does not help, chats are refused with a time to come back, and the mode is plain to see."""
    for _ in range(3):
        with pytest.raises(ServiceUnavailable, match=r"no memory left for a chat \(800 MB of 200 MB\)") as caught:
            server.observe(400)
        assert caught.value.retry_after_s > 0
    assert server.done == ["drop", "unload", "memory at 400%"]
    assert server.manager.mode is DEGRADED
    assert [(change.before, change.after) for change in server.manager.history] == [(NORMAL, DEGRADED)]
    assert (server.manager.counts["exhausted"], server.manager.counts["refused"]) == (1, 3)


def test_words_answer_until_hardly_anything_is_left(server: Server) -> None:
    """After the services are unloaded a chat takes 1 to 2 MB; it is refused only where these are not there."""
    assert [server.observe(percent) for percent in (94, 95, 97, 90)] == [DEGRADED] * 4
    assert server.manager.counts["exhausted"] == 1
    with pytest.raises(ServiceUnavailable):
        server.observe(98)
    assert server.observe(97) is DEGRADED


def test_unloading_that_helps_lets_the_chat_through_degraded(server: Server) -> None:
    """The chat that found memory exhausted is answered by words, and so are those after it."""
    server.left_by_unload = 40
    assert server.observe(96) is DEGRADED
    assert server.observe(40) is DEGRADED
    assert server.manager.counts["exhausted"] == 1
    assert server.observe(97) is DEGRADED
    assert server.manager.counts["exhausted"] == 2


def test_charge_is_read_anew_after_unloading(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reading that may be a second old would refuse a chat for memory that is free again."""
    probe = MemoryProbe(512)
    readings = {False: MemoryReading(510, 512, "pss"), True: MemoryReading(100, 512, "pss")}
    monkeypatch.setattr(probe, "read", lambda *, is_fresh=False: readings[is_fresh])
    manager = make_manager(probe)
    assert manager.observe() is DEGRADED
    assert manager.counts["exhausted"] == 1
    assert manager.read().charged_mb == 510


def test_worker_that_was_unloaded_answers_by_words_until_it_is_replaced(server: Server) -> None:
    """It loads nothing again, however much is free; its successor, a new process, does."""
    assert server.manager.has_room_for_model
    assert [server.observe(percent) for percent in (96, 40, 10)] == [DEGRADED] * 3
    assert not server.manager.has_room_for_model
    assert "memory at 96%" in server.done


@pytest.mark.parametrize(("percent", "anonymous_mb", "trims"), [(50, 90, 0), (79, 66, 0), (79, 67, 1), (79, 40, 0)])
def test_growth_is_trimmed_where_memory_is_short(server: Server, percent: int, anonymous_mb: int, trims: int) -> None:
    """More than 16 MB since the last trim, at 50 MB; in NORMAL a trim is not worth its milliseconds."""
    server.observe(79)
    server.observe(percent)
    before = server.manager.counts["trims"]
    server.hold(anonymous_mb)
    for _ in range(3):
        server.observe(percent)
    assert server.manager.counts["trims"] - before == trims


@pytest.mark.parametrize(("after_mb", "given_back_mb"), [(40, 10.0), (55, 0.0)])
def test_trim_tells_what_it_gave_back(
    server: Server, monkeypatch: pytest.MonkeyPatch, after_mb: int, given_back_mb: float
) -> None:
    """What another thread allocates meanwhile is not given back, and not less than nothing."""
    monkeypatch.setattr(memory_manager, "trim_heap", lambda: server.hold(after_mb))
    assert server.manager.trim() == given_back_mb


def test_step_is_noted_with_its_growth_and_its_time(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """The report and the log show the same numbers."""
    started = time.monotonic()
    with caplog.at_level(logging.INFO), server.manager.measure("load"):
        server.hold(80)
    (step,) = server.manager.steps
    assert (step.step, step.before_mb, step.after_mb, step.given_back_mb) == ("load", 57, 87, 0)
    assert 0 <= step.seconds <= time.monotonic() - started
    assert "step +30.0 MB, given back 0.0 MB" in caplog.messages[-1]


LOAD_AND_FREE = """
from src.memory.memory_probe import MemoryProbe
from tests.memory.test_memory_manager import make_manager
manager = make_manager(MemoryProbe(512))
with manager.measure("load"):
    blocks = [bytes(1000) for _ in range(30 * 1024)]
    blocks.append(bytes(1000))
    keep = blocks.pop()
    loaded_mb = MemoryProbe(512).own().rss_mb
    del blocks
(step,) = manager.steps
print(step.before_mb, loaded_mb, step.after_mb - step.given_back_mb)
"""


def test_trim_after_a_step_returns_what_it_freed() -> None:
    """30 MB in small blocks: freed, they stay with the C heap until it is trimmed."""
    done = subprocess.run([sys.executable, "-c", LOAD_AND_FREE], cwd=ROOT, capture_output=True, text=True, check=True)
    before_mb, loaded_mb, left_mb = map(float, done.stdout.split())
    assert loaded_mb - before_mb > 20
    assert left_mb < loaded_mb - 20


def test_measure_notes_a_step_that_fails(server: Server) -> None:
    """A load that fails has cost memory too."""
    with pytest.raises(MemoryError), server.manager.measure("load"):
        raise MemoryError
    assert [step.step for step in server.manager.steps] == ["load"]


@pytest.mark.parametrize(("limit_mb", "mode"), [(143, DEGRADED), (144, NORMAL)])
def test_limit_too_low_for_the_model_is_degraded_from_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, limit_mb: int, mode: MemoryMode
) -> None:
    """It says so once, and asks for no other worker: that one would have no more memory."""
    server = Server(tmp_path, limit_mb=limit_mb)
    assert [server.manager.mode, server.observe(20), server.observe(90), server.observe(20)][:2] == [mode, mode]
    assert server.manager.mode is mode
    assert server.manager.has_room_for_model == (mode is NORMAL)
    said = [message for message in caplog.messages if "Only 143 MB of memory" in message]
    assert len(said) == (mode is DEGRADED)
    assert ("memory at 90%" in server.done) == (mode is NORMAL)


def alerts(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(record.levelno, record.message) for record in caplog.records if "alert" in record.message]


def test_alert_is_logged_once_where_the_log_was_asked_to(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Alerts have thresholds of their own: they tell, the mode acts."""
    server = Server(tmp_path, alert_percent=(20, 30, 60))
    for percent in (10, 21, 19, 21, 35, 50):
        assert server.observe(percent) is NORMAL
    assert alerts(caplog) == [
        (logging.WARNING, "Memory alert [warning]: charged=21 %, over 20 %"),
        (logging.ERROR, "Memory alert [critical]: charged=35 %, over 30 %"),
    ]
    assert server.manager.counts == {"alert_charged_warning": 1, "alert_charged_critical": 1}


def test_alert_needs_no_chat(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A load or a probe that finds memory over a threshold says so; neither moves the mode."""
    server = Server(tmp_path, alert_percent=(20, 30, 60))
    server.hold(200)
    with server.manager.measure("model"):
        server.charge(25)
    server.charge(35)
    assert server.manager.check_alerts().percent == pytest.approx(35, abs=1)
    assert [message.partition(":")[0] for _, message in alerts(caplog)] == [
        "Memory alert [warning]",
        "Memory alert [critical]",
    ]
    assert server.manager.mode is NORMAL


def test_alert_of_the_address_space_is_one_line_at_the_highest(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """A leap counts every threshold that it passed; swaying by less than 100 MB is one alert."""
    for vms_mb in (2000, 5000, 4000, 5000, 3990, 4100):
        server.hold(50, vms_mb)
        server.observe(10)
    line = "Memory alert [emergency]: vms=%d MB, over 4096 MB"
    assert alerts(caplog) == [(logging.CRITICAL, line % 5000), (logging.CRITICAL, line % 4100)]
    assert server.manager.counts == {"alert_vms_warning": 1, "alert_vms_critical": 1, "alert_vms_emergency": 2}
