"""When a worker asks for its replacement: its half by itself, with a clock and a memory that the test sets."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from src.memory import worker_recycling
from src.memory.handover import Birth, NoteKind, Stage
from src.memory.worker_recycling import WorkerRecycling
from tests.memory.fake_memory import FakeMemory

CHAT = SimpleNamespace(method="POST", path="/chat")
SEARCH = SimpleNamespace(method="GET", path="/search")
PROBE = SimpleNamespace(method="GET", path="/health")


class Worker:
    """A worker of 30 MB with a limit of 512 MB, and the notes and signals that it sent."""

    def __init__(
        self,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        max_requests: int,
        streak: int = 0,
        jitter: int = 0,
        birth: Birth = Birth.FIRST,
        load: "Callable[[Worker], object]" = lambda worker: None,
    ) -> None:
        self.now = 1000.0
        self.loads = self.beats = 0
        self._load = load
        self.sent: list[tuple[str, bool]] = []
        self.signals: list[tuple[int, int]] = []
        monkeypatch.setattr(worker_recycling, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(os, "kill", lambda pid, sign: self.signals.append((pid, sign)))
        self._memory = FakeMemory(folder, limit_mb=512)
        self.hold(30, charged_mb=60)
        self.recycling = WorkerRecycling()
        self.recycling.configure(max_requests, jitter, self._memory.probe)
        self.recycling.handover._note_memory(streak, 0.0)
        monkeypatch.setattr(self.recycling.handover, "send", self._note)
        self.recycling.handover.birth = birth
        self.recycling.serve(self)
        self.gunicorn = SimpleNamespace(nr=0, alive=True, ppid=77, pid=os.getpid(), notify=self._notify)

    def start(self) -> None:
        self.recycling.post_worker_init(self.gunicorn)

    def warm_up(self) -> None:
        self.loads += 1
        self._load(self)

    def _notify(self) -> None:
        """Take a minute for each sign of life."""
        self.now += 60
        self.beats += 1

    def hold(self, anonymous_mb: int, charged_mb: int) -> None:
        self._memory.hold(anonymous_mb)
        self._memory.charge(charged_mb)

    def begin(self, request: SimpleNamespace = CHAT) -> None:
        self.gunicorn.nr += 1  # as gunicorn does
        self.recycling.pre_request(self.gunicorn, request)

    def end(self, request: SimpleNamespace = CHAT, status: int | None = 200) -> None:
        response = None if status is None else SimpleNamespace(status_code=status)
        self.recycling.post_request(self.gunicorn, request, {}, response)

    def chat(self, times: int = 1) -> None:
        for _ in range(times):
            self.begin()
            self.end()

    def _note(self, kind: NoteKind, *, is_for_memory: bool = False) -> None:
        self.sent.append((kind, is_for_memory))


def start(folder: Path, monkeypatch: pytest.MonkeyPatch, max_requests: int, streak: int = 0, jitter: int = 0) -> Worker:
    worker = Worker(folder, monkeypatch, max_requests, streak, jitter)
    worker.start()
    return worker


def join_loads() -> None:
    for thread in threading.enumerate():
        if thread.name == "warm-up":
            thread.join()


@pytest.mark.parametrize(
    ("birth", "loads", "sent", "signals"),
    [
        (Birth.FIRST, 0, [], []),
        (Birth.SUCCESSOR, 1, [("ready", False)], [(77, signal.SIGTTOU)]),
        (Birth.HEIR, 1, [], []),
    ],
)
def test_worker_that_follows_another_loads_at_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    birth: Birth,
    loads: int,
    sent: list[tuple[str, bool]],
    signals: list[tuple[int, int]],
) -> None:
    """Only a successor has an elder to retire."""
    worker = Worker(tmp_path, monkeypatch, max_requests=1, birth=birth)
    worker.start()
    join_loads()
    assert (worker.loads, worker.sent, worker.signals) == (loads, sent, signals)


def test_successor_that_cannot_load_or_is_stopped_retires_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gunicorn learns of the failure; the elder serves on."""

    def fail(_worker: Worker) -> None:
        raise RuntimeError("no model")

    def stop(worker: Worker) -> None:
        worker.gunicorn.alive = False

    failing = Worker(tmp_path / "failing", monkeypatch, max_requests=1, birth=Birth.SUCCESSOR, load=fail)
    with pytest.raises(RuntimeError, match="no model"):
        failing.start()
    stopped = Worker(tmp_path / "stopped", monkeypatch, max_requests=1, birth=Birth.SUCCESSOR, load=stop)
    stopped.start()
    assert failing.sent == stopped.sent == []


def test_successor_that_loads_for_over_two_minutes_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives signs of life until then, here one a minute."""
    end = threading.Event()
    worker = Worker(tmp_path, monkeypatch, max_requests=1, birth=Birth.SUCCESSOR, load=lambda _: end.wait(30))
    with pytest.raises(TimeoutError, match="within 120 s"):
        worker.start()
    end.set()
    join_loads()
    assert (worker.beats, worker.sent) == (3, [])


def test_log_tells_the_memory_now_and_then_and_why_a_worker_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After the 1st, the 10th and each 50th chat; with room for two a successor comes, else the elder stops first."""
    with caplog.at_level("INFO"):
        worker = start(tmp_path, monkeypatch, max_requests=101)
        worker.chat(101)
        worker.hold(30, charged_mb=500)
        worker.now += 10
        worker.chat()
    assert [line.split("]")[0] for line in caplog.messages] == [
        "Memory [startup", "Memory [chat 1", "Memory [chat 10", "Memory [chat 50", "Memory [chat 100",
        "Memory [hand-over: 101 chats answered", "Memory [stop first: 102 chats answered",
    ]  # fmt: skip


def test_only_answered_chats_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither probes nor refused chats nor those whose client left; gunicorn's own count agrees."""
    worker = start(tmp_path, monkeypatch, max_requests=3)
    worker.chat(2)
    for request, status in ((PROBE, 200), (CHAT, 400), (CHAT, 503), (CHAT, None)):
        worker.begin(request)
        worker.end(request, status)
    assert (worker.sent, worker.gunicorn.nr) == ([], 2)
    worker.chat()
    assert (worker.sent, worker.gunicorn.nr) == ([("ask", False)], 3)
    assert worker.signals == [(77, signal.SIGTTIN)]


def test_jitter_is_chats_more_and_never_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The budget of 3 with a jitter that draws 2 is 5; a search is no chat, and asking for the chat's path neither."""
    monkeypatch.setattr(worker_recycling.random, "randint", lambda low, high: high)
    worker = start(tmp_path, monkeypatch, max_requests=3, jitter=2)
    for method, path in (("POST", "/search"), ("GET", "/chat")):
        for _ in range(5):
            worker.begin(SimpleNamespace(method=method, path=path))
            worker.end(SimpleNamespace(method=method, path=path))
    worker.chat(4)
    assert worker.sent == []
    worker.chat()
    assert worker.sent == [("ask", False)]


@pytest.mark.parametrize(
    ("birth", "booted", "ends_with_one"),
    [(Birth.SUCCESSOR, False, True), (Birth.SUCCESSOR, True, False), (Birth.FIRST, False, False)],
)
def test_only_a_successor_that_could_not_boot_hides_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, birth: Birth, booted: bool, ends_with_one: bool
) -> None:
    """gunicorn's code for that stops the server, which is right where nobody serves."""
    worker = start(tmp_path, monkeypatch, max_requests=1)
    worker.recycling.handover.birth = birth
    worker.gunicorn.booted = booted
    code = None
    try:
        worker.recycling.worker_exit(None, worker.gunicorn)
    except SystemExit as exc:
        code = exc.code
    assert code == (1 if ends_with_one else None)
    worker.gunicorn.pid += 1
    worker.recycling.worker_exit(None, worker.gunicorn)  # called in the master: nothing ends


def test_redirected_chat_counts_and_the_first_error_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors begin at 400."""
    worker = start(tmp_path, monkeypatch, max_requests=1)
    worker.begin()
    worker.end(status=400)
    assert worker.sent == []
    worker.begin()
    worker.end(status=399)
    assert worker.sent == [("ask", False)]


def test_stopping_worker_asks_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is being replaced already."""
    worker = start(tmp_path, monkeypatch, max_requests=1)
    worker.gunicorn.alive = False
    worker.chat()
    assert worker.sent == []


def test_failed_successor_is_tried_again_later_and_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After 10, 20, 40, 80, 160 and then 300 s each."""
    worker = start(tmp_path, monkeypatch, max_requests=1)
    worker.chat()
    for number, wait_s in enumerate((10, 20, 40, 80, 160, 300, 300), start=1):
        worker.now += wait_s - 1
        worker.chat()
        assert len(worker.sent) == number
        worker.now += 1
        worker.chat()
        assert len(worker.sent) == number + 1


@pytest.mark.parametrize(("streak", "rest_s"), [(0, 60), (1, 120), (3, 480), (6, 3840), (9, 3840)])
def test_worker_is_not_replaced_for_its_memory_too_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, streak: int, rest_s: int
) -> None:
    """A limit set too low must not become a loop of replacements."""
    worker = start(tmp_path, monkeypatch, max_requests=0, streak=streak)
    worker.recycling.request("memory at 90%")
    worker.chat()
    worker.now += rest_s - 1
    worker.chat()
    assert worker.sent == []
    worker.now += 1
    worker.chat()
    assert worker.sent == [("ask", True)]


def test_memory_that_a_sibling_gave_back_has_time_to_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a replacement for memory nobody is replaced for it for twice the rest; and no more, if all is well then."""
    worker = start(tmp_path, monkeypatch, max_requests=0)
    worker.now += 10_000
    worker.recycling.handover._note_memory(1, worker.now - 1)
    worker.recycling.request("memory at 90%")
    worker.now += 118
    worker.chat()
    assert worker.sent == []
    worker.recycling.request(None)
    worker.now += 1
    worker.chat()
    assert worker.sent == []
    worker.recycling.request("memory at 90%")
    worker.chat()
    assert worker.sent == [("ask", True)]


def test_worker_waits_for_its_turn_and_asks_at_once_when_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another is being replaced, nothing is asked and nothing forgotten."""
    worker = start(tmp_path, monkeypatch, max_requests=1)
    for stage in (Stage.ASKED, Stage.LOADING, Stage.RETIRING, Stage.LEAVING):
        worker.recycling.handover._move(stage)
        worker.chat()
    assert worker.sent == []
    worker.recycling.handover._move(Stage.NONE)
    worker.chat()
    assert worker.sent == [("ask", False)]


def test_worker_that_answered_nothing_is_not_replaced_for_its_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its successor would be no better."""
    worker = start(tmp_path, monkeypatch, max_requests=0)
    worker.recycling.request("memory at 90%")
    worker.now += 1000
    worker.begin()
    worker.end(status=503)
    assert worker.sent == []


@pytest.mark.parametrize(
    ("request_of", "status", "sent"), [(SEARCH, 200, [("ask", True)]), (SEARCH, 503, []), (PROBE, 200, [])]
)
def test_worker_that_only_searches_is_replaced_for_its_memory_too(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request_of: SimpleNamespace,
    status: int,
    sent: list[tuple[str, bool]],
) -> None:
    """After an unload it would search by words for ever; probes alone tell nothing."""
    worker = start(tmp_path, monkeypatch, max_requests=0)
    worker.recycling.request("memory at 96%")
    worker.now += 60
    worker.begin(request_of)
    worker.end(request_of, status)
    assert worker.sent == sent


@pytest.mark.parametrize(("grown_mb", "sent"), [(64, []), (65, [("ask", True)])])
def test_growth_counts_from_the_fifth_chat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grown_mb: int, sent: list[tuple[str, bool]]
) -> None:
    """Over an eighth of the limit, which is 64 of 512 MB; what the first chats load is no growth."""
    worker = start(tmp_path, monkeypatch, max_requests=0)
    worker.now += 1000
    worker.chat(4)
    worker.hold(110, charged_mb=140)
    worker.chat(3)
    assert worker.sent == []
    worker.hold(110 + grown_mb, charged_mb=140 + grown_mb)
    worker.chat()
    assert worker.sent == sent


def test_siblings_share_the_growth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With four workers an eighth of the limit is 16 MB for each."""
    worker = start(tmp_path, monkeypatch, max_requests=0)
    worker.recycling._workers = 4
    worker.now += 1000
    worker.hold(110, charged_mb=140)
    worker.chat(5)
    worker.hold(126, charged_mb=156)
    worker.chat()
    assert worker.sent == []
    worker.hold(127, charged_mb=157)
    worker.chat()
    assert worker.sent == [("ask", True)]


@pytest.mark.parametrize(("charged_mb", "kind"), [(339, "ask"), (342, "leave")])
def test_worker_leaves_first_where_two_have_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, charged_mb: int, kind: str
) -> None:
    """With a successor as large as this one was after five chats (110 MB), 450.6 MB would be charged: DEGRADED."""
    worker = start(tmp_path, monkeypatch, max_requests=6)
    worker.hold(110, charged_mb=140)
    worker.chat(5)
    worker.hold(130, charged_mb)
    worker.chat()
    assert worker.sent == [(kind, False)]
    assert worker.signals == [(77, signal.SIGTTIN)]


def test_leaving_worker_waits_for_a_moment_without_chats_but_not_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New connections wait until its heir accepts, so a quiet moment is better; after 20 s any moment is."""
    worker = start(tmp_path, monkeypatch, max_requests=1)
    worker.hold(30, charged_mb=500)
    worker.begin()
    worker.chat()
    worker.now += 19
    worker.chat()
    assert worker.sent == []
    worker.now += 1
    worker.chat(3)
    assert worker.sent == [("leave", False)]


def test_leaving_worker_goes_at_once_when_no_chat_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a chat that leaves none running is such a moment."""
    worker = start(tmp_path, monkeypatch, max_requests=1)
    worker.hold(30, charged_mb=500)
    worker.begin()
    worker.chat()
    assert worker.sent == []
    worker.end()
    assert worker.sent == [("leave", False)]
