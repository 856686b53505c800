"""The count of calls: one for all workers, through hand-overs, or in a store that may fail."""

import json
import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest
from limits.errors import StorageError
from limits.storage import MemoryStorage

from src.config import Config
from src.errors import ConfigError, RequestError
from src.web import call_counts, rate_limit
from src.web.call_counts import CallCounts
from tests.conftest import ROOT
from tests.memory.gunicorn_server import GunicornServer, wait_until


class Clock:
    """The time that the counts see."""

    def __init__(self) -> None:
        self.now = 1_000_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(call_counts, "time", clock)
    return clock


def test_calls_of_the_period_before_count_in_the_share_that_is_left(clock: Clock) -> None:
    """10 in the last period, and a quarter of this one gone: 7.5 of them count."""
    counts = CallCounts(10, 100)
    assert [counts.take("a") for _ in range(11)] == [True] * 10 + [False]
    clock.now += 125
    assert [counts.take("a") for _ in range(4)] == [True] * 3 + [False]
    clock.now += 300
    assert [counts.take("a") for _ in range(11)] == [True] * 10 + [False]


def test_addresses_of_one_ipv6_network_are_one_caller(clock: Clock) -> None:
    """Who has a /64 has more addresses than anybody counts."""
    counts = CallCounts(1, 60)
    assert [counts.take(one) for one in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")] == [True, False, True]


def test_ipv4_callers_of_a_socket_for_both_are_several(clock: Clock) -> None:
    """A socket for IPv6 and IPv4 names the latter `::ffff:…`, which are all in one /64."""
    counts = CallCounts(1, 60)
    assert [counts.take(one) for one in ("::ffff:192.0.2.1", "::ffff:192.0.2.2", "192.0.2.1")] == [True, True, False]


def test_workers_share_the_counts_and_race_for_none(clock: Clock) -> None:
    """Four processes of four threads call as fast as they can: as many are counted as are allowed."""
    counts = CallCounts(500, 3600)
    pids = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            with ThreadPoolExecutor(4) as pool:
                taken = sum(pool.map(lambda _: counts.take("a"), range(400)))
            os._exit(taken // 10)
        pids.append(pid)
    taken = sum(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids) * 10
    assert 460 <= taken <= 500
    assert not counts.take("a")


def test_twenty_thousand_addresses_cost_little(clock: Clock) -> None:
    """10 MB at most, and nearly all of them keep their count."""
    before = psutil.Process().memory_info().rss
    counts = CallCounts(1, 60)
    addresses = [f"10.0.{number // 250}.{number % 250}" for number in range(20_000)]
    assert all(counts.take(address) for address in addresses)
    assert sum(counts.take(address) for address in addresses) < 200
    assert (psutil.Process().memory_info().rss - before) / 2**20 < 10


def test_count_survives_handovers(tmp_path: Path) -> None:
    """Workers are replaced every 5 chats; 20 calls are answered in an hour, not 20 for each worker."""
    with GunicornServer.run(
        tmp_path, app="app:app", MAX_REQUESTS="5", MAX_REQUESTS_JITTER="0", RATE_LIMIT="20 per day"
    ) as server:
        for _ in range(20):
            server.chat()
        wait_until(lambda: server.handovers >= 1, "a hand-over", 60)
        with pytest.raises(AssertionError, match=r"429"):
            server.chat()


class FailingStorage(MemoryStorage):
    """A store on another host that can be lost."""

    STORAGE_SCHEME: ClassVar[list[str]] = ["failing"]
    is_lost = False
    asked = 0

    def check(self) -> bool:
        return not self.is_lost

    def acquire_sliding_window_entry(self, *arguments: Any, **options: Any) -> bool:
        FailingStorage.asked += 1
        if self.is_lost:
            raise StorageError(OSError("gone"))
        return super().acquire_sliding_window_entry(*arguments, **options)


CONFIG = replace(Config.from_env({}), rate_limit="2 per day", rate_limit_storage_uri="failing://")


def is_counted(count_call: Any, address: str) -> bool:
    try:
        count_call(address)
    except RequestError:
        return False
    return True


def test_store_that_goes_away_is_replaced_by_a_count_here_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither everybody nor nobody is let in; one that rests is not asked, and one that comes back is used again."""
    count_call = rate_limit.limit_calls(CONFIG)
    assert [is_counted(count_call, "a") for _ in range(3)] == [True, True, False]
    monkeypatch.setattr(FailingStorage, "is_lost", True)
    asked = FailingStorage.asked
    with caplog.at_level(logging.INFO):
        assert [is_counted(count_call, "b") for _ in range(3)] == [True, True, False]
        assert FailingStorage.asked == asked + 1
        monkeypatch.setattr(rate_limit, "REST_S", 0.0)
        monkeypatch.setattr(rate_limit.time, "monotonic", lambda: float("inf"))
        assert not is_counted(count_call, "b")
        monkeypatch.setattr(FailingStorage, "is_lost", False)
        assert is_counted(count_call, "b")
        assert is_counted(count_call, "b")
    assert [record.message[:38] for record in caplog.records] == [
        "Calls are counted on this host: the st", "Calls are counted in the store again"
    ]  # fmt: skip


@pytest.mark.parametrize("uri", ["nothing://", "redis://127.0.0.1:1", "no address"])
def test_store_that_cannot_be_used_stops_the_start(uri: str) -> None:
    """One line that names the setting, without the address, which may hold a password."""
    environment = {**os.environ, "RATE_LIMIT_STORAGE_URI": uri}
    command = [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0", "app:app"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "The server cannot start: RATE_LIMIT_STORAGE_URI" in done.stderr
    assert "Traceback" not in done.stderr


def test_store_that_is_down_at_the_start_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A count that is shared must be shared from the first call."""
    monkeypatch.setattr(FailingStorage, "is_lost", True)
    with pytest.raises(ConfigError, match="cannot be reached"):
        rate_limit.limit_calls(CONFIG)


def test_bare_server_does_not_import_the_library_of_counts() -> None:
    """It is there for stores on other hosts."""
    code = "import sys, json, app; app.app.test_client().post('/chat'); print(json.dumps('limits' in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) is False
