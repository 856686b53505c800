"""Two instances of two workers each, a real Redis, and the proxies as docs/proxies shows them."""

import http.client
import itertools
import json
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from threading import Event

import pytest
import requests

from tests.conftest import free_port, wait_until
from tests.llm_server import SSE, LLMServer, Reply, event, serve_llm, streamed
from tests.several_instances import PROXIES, Instance, Program, run_proxy, run_redis

LIMIT = 20
CHAT = json.dumps({"message": "How many days of annual leave are there?"})
# Each caller has an address of its own, all of which are this machine.
addresses = (f"127.1.{number // 250}.{number % 250 + 1}" for number in itertools.count())


@dataclass
class Fleet:
    """Two instances that count in one Redis."""

    redis: Program
    llm: LLMServer
    instances: tuple[Instance, Instance]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    with run_redis(folder) as redis, serve_llm(streamed("None.")) as llm:
        environment = {
            "WEB_CONCURRENCY": "2",
            "TRUSTED_PROXIES": "1",
            "RATE_LIMIT": f"{LIMIT} per day",
            "RATE_LIMIT_STORAGE_URI": f"redis://127.0.0.1:{redis.port}",
            "MAX_REQUESTS": "15",
            "LLM_BASE_URL": llm.url,
            "LLM_API_KEY": "key",
        }
        one, two = (Instance(folder / f"{name}.log", environment, free_port()) for name in ("one", "two"))
        one.start()
        two.start()
        yield Fleet(redis, llm, (one, two))
        one.stop()
        two.stop()


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """Let these processes take no request."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def search(port: int, address: str, **headers: str) -> int:
    """Ask on a connection of its own, from an address of this machine; the status."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60, source_address=(address, 0))) as connection:
        connection.request("GET", "/search?q=leave&limit=1", headers=headers)
        return connection.getresponse().status


@dataclass
class Load:
    """Clients that chat without pause, each time on a connection of its own and from another address."""

    port: int
    answers: int = 0
    failures: list[str] = field(default_factory=list)

    @contextmanager
    def running(self, clients: int = 3) -> Iterator[None]:
        """Let them chat until the block ends."""
        stop = Event()
        threads = [threading.Thread(target=self._chat, args=(stop,)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def wait_for(self, number: int) -> None:
        """Wait until there are so many more answers."""
        most = self.answers + number
        wait_until(lambda: self.answers >= most or self.failures, "more answers", 60)

    def _chat(self, stop: Event) -> None:
        while not stop.wait(0.02):
            source = (next(addresses), 0)
            try:
                with closing(http.client.HTTPConnection("127.0.0.1", self.port, 60, source_address=source)) as one:
                    one.request("POST", "/chat", CHAT, {"Content-Type": "application/json"})
                    response = one.getresponse()
                    body = response.read()
                if response.status != 200:
                    raise OSError(response.status, body)
            except (OSError, http.client.HTTPException) as exc:
                self.failures.append(repr(exc))
            else:
                self.answers += 1


def test_limit_is_one_for_all_workers_of_all_instances(fleet: Fleet) -> None:
    """A quarter of the calls by each of the four workers; then each of them refuses."""
    address, seen = next(addresses), Counter[int]()
    for instance in fleet.instances:
        wait_until(lambda instance=instance: len(instance.workers) == 2, "two workers")
        for worker in (workers := instance.workers):
            with stopped(*set(workers) - {worker}):
                asked = {"X-Forwarded-For": address}
                assert [search(instance.port, "127.0.0.1", **asked) for _ in range(LIMIT // 4)] == [200] * (LIMIT // 4)
            seen[worker] += 1
    assert len(seen) == 4
    assert [search(instance.port, "127.0.0.1", **asked) for instance in fleet.instances] == [429, 429]


@pytest.mark.parametrize("proxy", ["nginx", "haproxy"])
def test_limit_holds_behind_a_proxy_that_tells_the_client(fleet: Fleet, tmp_path: Path, proxy: str) -> None:
    """Of forty calls in parallel exactly as many are answered as are allowed, by both instances; another client's too.

    An address that the client itself claims is not believed.
    """
    logs = [instance.answered() for instance in fleet.instances]
    with run_proxy(proxy, tmp_path, fleet.instances) as running, ThreadPoolExecutor(8) as pool:
        address = next(addresses)
        calls = [
            pool.submit(search, running.port, address, **{"X-Forwarded-For": f"192.0.2.{number}"})
            for number in range(2 * LIMIT)
        ]
        assert Counter(call.result() for call in calls) == {200: LIMIT, 429: LIMIT}
        assert search(running.port, next(addresses)) == 200
    assert all(instance.answered() > before for instance, before in zip(fleet.instances, logs, strict=True))


@pytest.mark.parametrize("proxy", ["nginx", "haproxy"])
def test_stream_passes_a_proxy_piece_by_piece(fleet: Fleet, tmp_path: Path, proxy: str) -> None:
    """The first words are there before the LLM may write the rest."""
    rest = Event()
    pieces = (event("Twenty days. "), rest, event("No more."), event("", "stop"), b"data: [DONE]\n\n")
    fleet.llm.script = [Reply(headers=SSE, body=pieces), streamed("None.")]
    with run_proxy(proxy, tmp_path, fleet.instances) as running:
        body = {"message": "How many days of annual leave are there?", "stream": True}
        with requests.post(f"http://127.0.0.1:{running.port}/chat", json=body, stream=True, timeout=20) as response:
            lines = response.iter_lines()
            assert any(b"Twenty" in line for line in lines)
            rest.set()
            assert any(b"event: done" in line for line in lines)


def test_rolling_restart_behind_a_proxy_loses_nothing(fleet: Fleet, tmp_path: Path) -> None:
    """One instance after the other stops and starts again, while clients chat through each proxy that is here."""
    with ExitStack() as stack:
        proxies = {
            name: stack.enter_context(run_proxy(name, tmp_path, fleet.instances)) for name in PROXIES if which(name)
        }
        if not proxies:
            pytest.skip("neither nginx nor haproxy is installed")
        loads = [Load(proxy.port) for proxy in proxies.values()]
        for load in loads:
            stack.enter_context(load.running(2))
        for instance in fleet.instances:
            for load in loads:
                load.wait_for(10)
            instance.restart()
            # HAProxy leaves an instance alone until it has seen it well; nginx asks it at once.
            if haproxy := proxies.get("haproxy"):
                wait_until(lambda proxy=haproxy: proxy.log.count("is DOWN") == proxy.log.count("is UP"), "UP")
        for load in loads:
            load.wait_for(10)
    assert [load.failures for load in loads] == [[]] * len(loads)


def test_redis_that_is_killed_and_comes_back_fails_no_chat(fleet: Fleet) -> None:
    """Meanwhile each instance counts by itself; both times one of its workers says so."""
    one = fleet.instances[0]
    begun = len(one.log.read_text())
    load = Load(one.port)
    told = re.compile(r"Calls are counted .*")

    def lines() -> list[str]:
        return [line.split(":")[0] for line in told.findall(one.log.read_text()[begun:])]

    with load.running():
        load.wait_for(10)
        fleet.redis.process.kill()
        fleet.redis.process.wait()
        load.wait_for(20)
        address = {"X-Forwarded-For": next(addresses)}
        answered = [search(one.port, "127.0.0.1", **address) for _ in range(LIMIT + 5)]
        assert answered == [200] * LIMIT + [429] * 5
        assert lines() == ["Calls are counted on this host"]
        fleet.redis.start()
        wait_until(lambda: len(lines()) > 1, "Redis is asked again")
        load.wait_for(10)
    assert load.failures == []
    assert lines() == ["Calls are counted on this host", "Calls are counted in the store again"]
