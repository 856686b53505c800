"""The real app is replaced under load as the toy is."""

import re
import urllib.request
from pathlib import Path

import pytest

from tests.memory.gunicorn_server import GunicornServer, Load, kill, wait_until


def test_handovers_of_the_real_app_fail_no_chat(tmp_path: Path) -> None:
    """Model, Chroma and texts are opened anew by each successor while the elder answers."""
    load = Load()
    with GunicornServer.run(
        tmp_path, app="app:app", MAX_REQUESTS="20", MAX_REQUESTS_JITTER="5", RATE_LIMIT="off"
    ) as server:
        server.chat()
        with load.on(server, clients=4, think_s=0.05):
            wait_until(lambda: server.handovers >= 3, "3 hand-overs", 300)
    assert load.failures == []


def test_killed_worker_of_the_real_app_is_followed_by_one_that_answers(tmp_path: Path) -> None:
    """SIGKILL in the middle of chats: the next chat is answered."""
    with GunicornServer.run(tmp_path, app="app:app", RATE_LIMIT="off") as server:
        server.chat()
        with Load().on(server, clients=4):
            kill(server.workers[0])
        assert server.chat()["answer"]


def test_limit_set_absurdly_low_refuses_chats_and_stays_healthy(tmp_path: Path) -> None:
    """1 MB: nothing can be answered, and the server says so instead of dying or replacing workers in a loop."""
    with GunicornServer.run(tmp_path, app="app:app", MEMORY_LIMIT_MB="1") as server:
        worker = server.get("/ready") and server.workers
        for _ in range(3):
            with pytest.raises(AssertionError, match=r"503.*memory_exhausted"):
                server.chat()
        assert server.get("/health")["status"] == "degraded"
        assert server.workers == worker


def test_limit_too_low_for_the_model_serves_words_only(tmp_path: Path) -> None:
    """96 MB: loading the model would end in a server that is alive and answers nothing; opening the page too."""
    with GunicornServer.run(tmp_path, app="app:app", MEMORY_LIMIT_MB="96") as server:
        assert server.get("/health")["status"] == "degraded"
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/") as page:
            assert page.status == 200
        wait_until(lambda: server.get("/ready")["phase"] == "ready", "what may be loaded is loaded")
        answer = server.chat()
        assert (answer["mode"], answer["retrieval"]) == ("DEGRADED", "lexical")
        loaded = server.get("/ready")["loaded"]
        assert not loaded["embedding_service"]
        assert not loaded["vector_store"]
        assert "Only 96 MB of memory" in server.log


def test_log_tells_the_memory_at_the_first_chat_the_tenth_and_each_fiftieth(tmp_path: Path) -> None:
    """Four measures stand in every line, so that growth can be read from the log alone."""
    with GunicornServer.run(tmp_path, app="app:app", MAX_REQUESTS="0") as server:
        for _ in range(51):
            server.chat()
        wait_until(lambda: "Memory [chat 50]" in server.log, "the line of the 50th chat")
        assert re.findall(r"Memory \[chat (\d+)\]", server.log) == ["1", "10", "50"]
        measures = r"RSS=[\d.]+ MB, VMS=\d+ MB, charged=[\d.]+ MB of 512 MB \([\d.]+%\), available=[\d.]+ MB"
        lines = [line for line in server.log.splitlines() if "Memory [" in line]
        assert len(lines) >= 6
        assert all(re.search(measures, line) for line in lines), lines
        # The master froze what it had imported; the worker's own objects are a small part.
        assert server.get("/memory/report")["python_objects"] > 20_000
