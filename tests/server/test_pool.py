"""A pool of threads on a system that gives no more of them."""

import threading

import pytest

from src.errors import ServiceUnavailable
from src.readiness import Readiness
from src.server.pool import Pool


def refuse(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_pool_goes_on_with_the_threads_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread is enough to answer, one after the other."""
    with Pool(8) as pool:
        assert pool.submit(int).result(10) == 0
        busy = threading.Event()
        first = pool.submit(busy.wait, 10)
        monkeypatch.setattr(threading.Thread, "start", refuse)
        others = [pool.submit(int) for _ in range(3)]
        busy.set()
        assert first.result(10)
        assert [other.result(10) for other in others] == [0, 0, 0]


def test_load_without_a_thread_is_a_503(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to do, and the next caller tries again."""
    monkeypatch.setattr(threading.Thread, "start", refuse)
    readiness = Readiness(lambda: None)
    with pytest.raises(ServiceUnavailable, match="limit of processes"):
        readiness.wait(1)
    monkeypatch.undo()
    readiness.wait(10)
