"""A real gunicorn with the project's gunicorn.conf.py, a toy app, and clients that chat all the while."""

import os
import signal
from pathlib import Path

import pytest

from tests.memory.gunicorn_server import GunicornServer, Load, kill, wait_until
from tests.several_instances import is_open


def test_hundred_handovers_under_load_fail_no_request(tmp_path: Path) -> None:
    """No request is lost and none meets a worker that is not warm."""
    load = Load()
    settings = {"MAX_REQUESTS": "5", "MAX_REQUESTS_JITTER": "2", "TOY_WARM_UP_S": "0", "TOY_MODEL_MB": "1"}
    with GunicornServer.run(tmp_path, **settings) as server:
        server.chat()
        with load.on(server, clients=4, think_s=0.02):
            wait_until(lambda: server.handovers >= 100, "100 hand-overs", 300)
        assert len(server.workers) <= 2
    assert load.failures == []
    assert load.cold == 0
    assert len(load.pids) >= 100


def test_two_workers_are_replaced_one_at_a_time_and_lose_nothing(tmp_path: Path) -> None:
    """Both use up their budgets all the while; there are never more than three, and two in the end."""
    load, most = Load(), 0

    def has_seen_six() -> bool:
        nonlocal most
        most = max(most, len(server.workers))
        return server.handovers >= 6 and len(load.pids) >= 7

    with GunicornServer.run(tmp_path, WEB_CONCURRENCY="2", MAX_REQUESTS="5", MAX_REQUESTS_JITTER="0") as server:
        with load.on(server, clients=4, think_s=0.01):
            wait_until(has_seen_six, "6 hand-overs, and answers of seven workers", 60)
        wait_until(lambda: len(server.workers) == 2, "the elders are gone")
    assert load.failures == []
    assert most <= 3


def test_worker_killed_while_another_is_being_replaced_is_followed(tmp_path: Path) -> None:
    """Its follower is no part of the hand-over, which goes on."""
    with GunicornServer.run(tmp_path, WEB_CONCURRENCY="2", MAX_REQUESTS="2", MAX_REQUESTS_JITTER="0") as server:
        wait_until(lambda: len(server.workers) == 2, "two workers")
        first = set(server.workers)
        with server.connect() as ask:
            elder = ask("POST", "/chat")["pid"]
            (tmp_path / "hang_warm_up").touch()
            ask("POST", "/chat")
        wait_until(lambda: len(server.workers) == 3, "a successor")
        (successor,) = set(server.workers) - first
        (bystander,) = first - {elder}
        kill(bystander)
        wait_until(
            lambda: len(server.workers) == 3 and bystander not in server.workers, "one that follows the dead one"
        )
        (tmp_path / "hang_warm_up").unlink()
        wait_until(lambda: server.handovers == 1 and elder not in server.workers, "the elder is gone")
        assert successor in server.workers
        assert len(server.workers) == 2


def test_two_workers_without_room_leave_one_at_a_time(tmp_path: Path) -> None:
    """160 MB: the worker beside it goes on, and nothing is lost."""
    load, least = Load(), 2

    def has_seen_two() -> bool:
        nonlocal least
        least = min(least, len(server.workers))
        return server.log.count("stop first: ") >= 2

    limit = {"MEMORY_LIMIT_MB": "160", "TOY_WARM_UP_S": "0.3"}
    few = "--workers=2"
    with GunicornServer.run(tmp_path, few, MAX_REQUESTS="10", MAX_REQUESTS_JITTER="0", **limit) as server:
        wait_until(lambda: len(server.workers) == 2, "two workers")
        with load.on(server, clients=3, think_s=0.02):
            wait_until(has_seen_two, "2 that left")
        assert server.handovers == 0
    assert load.failures == []
    assert least >= 1


def test_workers_that_have_no_room_are_not_started(tmp_path: Path) -> None:
    """144 MB for one and 60 for each other; the log says the figure, and that three were to be started."""
    with GunicornServer.run(tmp_path, WEB_CONCURRENCY="3", MEMORY_LIMIT_MB="210") as server:
        wait_until(lambda: len(server.workers) == 2, "two workers")
        assert "WEB_CONCURRENCY=3 needs 264 MB, and 210 are here: 2 started." in server.log


def test_elder_that_asked_is_the_one_that_retires(tmp_path: Path) -> None:
    """gunicorn stops the oldest; here that is the one with its budget unspent."""
    with GunicornServer.run(tmp_path, "--workers=2", MAX_REQUESTS="3", MAX_REQUESTS_JITTER="0") as server:
        wait_until(lambda: len(server.workers) == 2, "two workers")
        oldest, youngest = sorted(server.workers)
        os.kill(oldest, signal.SIGSTOP)
        with server.connect() as ask:
            for _ in range(3):
                assert ask("POST", "/chat")["pid"] == youngest
        os.kill(oldest, signal.SIGCONT)
        wait_until(lambda: server.handovers == 1 and youngest not in server.workers, "one hand-over")
        wait_until(lambda: len(server.workers) == 2, "two workers again")
        assert oldest in server.workers


@pytest.mark.parametrize(("state", "reason"), [("leak", "grown by "), ("degraded", "memory at 90%")])
def test_worker_is_replaced_for_its_memory(tmp_path: Path, state: str, reason: str) -> None:
    """Grown by an eighth of 512 MB, or asked for by the memory manager."""
    load = Load()
    with GunicornServer.run(tmp_path, "--config=tests/memory/impatient.conf.py", MAX_REQUESTS="0") as server:
        elder = server.chat()["pid"]
        (tmp_path / state).touch()
        with load.on(server, clients=2, think_s=0.02):
            wait_until(lambda: elder not in server.workers, "the elder is gone")
            (tmp_path / state).unlink()
        assert load.failures == []
        assert f"[hand-over: {reason}" in server.log


def test_successor_that_fails_leaves_the_elder_serving(tmp_path: Path) -> None:
    """A failed successor is tried once, not in a loop, and the elder goes on past its budget."""
    with GunicornServer.run(tmp_path, MAX_REQUESTS="3", MAX_REQUESTS_JITTER="0") as server:
        elder = server.chat()["pid"]
        (tmp_path / "fail_warm_up").touch()
        load = Load()
        with load.on(server, clients=2, think_s=0.02):
            wait_until(lambda: "Hand-over failed" in server.log, "the failure")
            answered = len(load.latencies_s)
            wait_until(lambda: len(load.latencies_s) > answered + 50, "chats after the failure")
        assert load.failures == []
        assert load.pids == {elder}
        assert server.workers == [elder]
        assert server.log.count("Hand-over failed") == 1


def test_failed_fork_leaves_the_elder_serving_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit of processes reached at a hand-over, or when a worker has died, does not end the server."""
    failing = "--config=tests/memory/failing_fork.conf.py"
    with GunicornServer.run(tmp_path, failing, MAX_REQUESTS="2", MAX_REQUESTS_JITTER="0") as server:
        elder = server.chat()["pid"]
        (tmp_path / "no_fork").touch()
        server.chat()
        wait_until(lambda: "Hand-over failed: no worker can be forked" in server.log, "the failure")
        assert server.chat()["pid"] == elder
        kill(elder)
        wait_until(lambda: "trying again every second" in server.log, "the failure to follow the dead one")
        (tmp_path / "no_fork").unlink()
        assert server.chat()["pid"] != elder
        assert len(server.workers) == 1


def test_elder_killed_while_its_successor_warms_leaves_one_worker(tmp_path: Path) -> None:
    """The successor is then simply the worker; nobody is retired in the dead one's stead."""
    with GunicornServer.run(tmp_path, MAX_REQUESTS="2", MAX_REQUESTS_JITTER="0") as server:
        elder = server.chat()["pid"]
        (tmp_path / "hang_warm_up").touch()
        server.chat()
        wait_until(lambda: len(server.workers) == 2, "a successor")
        (successor,) = set(server.workers) - {elder}
        kill(elder)
        (tmp_path / "hang_warm_up").unlink()
        assert server.chat()["pid"] == successor
        wait_until(lambda: server.handovers == 1, "the successor is ready")
        assert server.get("/health")["pid"] == successor
        assert server.workers == [successor]


def test_probes_and_refused_chats_do_not_count(tmp_path: Path) -> None:
    """Render probes every few seconds; only an answered chat uses the budget up."""
    with GunicornServer.run(tmp_path, MAX_REQUESTS="3", MAX_REQUESTS_JITTER="0") as server:
        pid = server.chat()["pid"]
        for _ in range(50):
            assert server.get("/health")["pid"] == pid
        for _ in range(20):
            with pytest.raises(AssertionError):
                server.request("PUT", "/chat")
        assert "hand-over" not in server.log
        server.chat()
        server.chat()
        wait_until(lambda: server.handovers == 1, "the third chat starts a hand-over")


def test_worker_killed_in_the_middle_of_chats_is_replaced(tmp_path: Path) -> None:
    """SIGKILL, as of a full cgroup: the chats in flight are lost, the next request is served."""
    load = Load()
    with GunicornServer.run(tmp_path, TOY_ANSWER_S="0.2", MAX_REQUESTS="1000") as server:
        victim = server.chat()["pid"]
        with load.on(server, clients=4):
            wait_until(lambda: len(load.latencies_s) > 8, "chats are under way")
            kill(victim)
            wait_until(lambda: len(load.pids) > 1, "another worker answers")
        assert 1 <= len(load.failures) <= 8
        assert victim not in server.workers
        assert server.chat()["pid"] != victim


def test_no_room_for_two_stops_first_and_loses_nothing(tmp_path: Path) -> None:
    """Two workers of 75 MB do not fit into 160: the elder goes first, the queue waits, the heir loads by itself."""
    load = Load()
    with GunicornServer.run(tmp_path, MEMORY_LIMIT_MB="160", MAX_REQUESTS="20", MAX_REQUESTS_JITTER="0") as server:
        elder = server.chat()["pid"]
        with load.on(server, clients=2, think_s=0.02):
            wait_until(lambda: len(load.pids) > 1, "an heir")
        assert load.failures == []
        assert "stop first: " in server.log
        assert server.handovers == 0
        assert elder not in server.workers
    with GunicornServer.run(tmp_path, MEMORY_LIMIT_MB="160", MAX_REQUESTS="1", MAX_REQUESTS_JITTER="0") as server:
        elder = server.chat()["pid"]
        wait_until(lambda: elder not in server.workers and len(server.workers) == 1, "an heir")
        wait_until(lambda: server.get("/health")["is_warm"], "the heir loads without being asked")


def test_idle_connection_of_a_retired_worker_is_served_by_its_successor(tmp_path: Path) -> None:
    """A client keeps its connection through a hand-over, whenever it sends its next request."""
    with GunicornServer.run(tmp_path, MAX_REQUESTS="1", MAX_REQUESTS_JITTER="0") as server, server.connect() as ask:
        elder = ask("GET", "/health")["pid"]
        server.chat()
        wait_until(lambda: elder not in server.workers, "the elder is gone")
        assert ask("GET", "/health")["pid"] != elder


def test_server_stops_while_a_successor_hangs(tmp_path: Path) -> None:
    """A warm-up that never ends holds up neither the elder nor the end; a kept connection has its last answer."""
    with GunicornServer.run(tmp_path, MAX_REQUESTS="2", MAX_REQUESTS_JITTER="0") as server:
        elder = server.chat()["pid"]
        (tmp_path / "hang_warm_up").touch()
        server.chat()
        wait_until(lambda: len(server.workers) == 2, "a successor")
        with server.connect() as ask:
            assert ask("POST", "/chat")["pid"] == elder
            server.process.terminate()
            wait_until(lambda: not is_open(server.port), "nobody listens")
            assert ask("GET", "/health")["pid"] == elder
        assert server.process.wait(10) == 0


def test_max_requests_zero_never_replaces(tmp_path: Path) -> None:
    """0 means never; gunicorn's own count must not come in by the jitter."""
    with GunicornServer.run(tmp_path, MAX_REQUESTS="0", MAX_REQUESTS_JITTER="1") as server:
        assert len({server.chat()["pid"] for _ in range(40)}) == 1
