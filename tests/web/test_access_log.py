"""The line that each request leaves in the log."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Server, serve, wait_until

QUESTION = "How many days of annual leave do employees get?"
LINE = re.compile(
    r" (\w+) (\S+) (\d+): \d{1,4} ms, (\d+) bytes, answered_by=(\S+), mode=(\S+), request_id=([\w.-]+)$", re.MULTILINE
)


def lines_of(server: Server, request_id: str) -> list[tuple[str, ...]]:
    def found() -> list[tuple[str, ...]]:
        return [found for found in LINE.findall(server.log.read_text()) if found[-1] == request_id]

    wait_until(lambda: bool(found()), "the request's line")
    return found()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("access") / "log"
    with serve(log, MAX_REQUESTS="0", API_KEY="sk-secret") as server:
        yield server


@pytest.mark.parametrize("stream", [False, True])
def test_chat_leaves_one_line_that_says_how_it_went(running: Server, stream: bool) -> None:
    """Method, route, status, bytes as sent, who answered in which mode; whole and as a stream."""
    headers = {"Authorization": "Bearer sk-secret", "X-Request-ID": f"stream-{stream}"}
    response = running.post("/chat", {"message": QUESTION, "stream": stream}, headers=headers)
    size = str(len(response.content))
    assert lines_of(running, f"stream-{stream}") == [
        ("POST", "/chat", "200", size, "extractive", "NORMAL", f"stream-{stream}")
    ]


def test_line_tells_no_question_no_key_and_no_address(running: Server) -> None:
    """A path that may hold words is logged as its route; an unknown one not at all."""
    headers = {"Authorization": "Bearer sk-secret", "X-Request-ID": "words"}
    running.get("/search?q=pregnancy", headers=headers)
    running.get("/documents/pregnancy.md", headers=headers)
    running.get("/pregnancy", headers=headers)
    wait_until(lambda: running.log.read_text().count("request_id=words") == 3, "three lines")
    # A line is written when its answer has been sent, and the next request may be answered before.
    routes = {(line[1], line[2]) for line in lines_of(running, "words")}
    assert routes == {("/search", "200"), ("/documents/<path:path>", "404"), ("-", "404")}
    log = running.log.read_text()
    assert not re.search("pregnancy|annual leave do|sk-secret|127\\.0\\.0\\.1(?!:)", log)


def test_access_log_can_be_turned_off(tmp_path: Path) -> None:
    """`ACCESS_LOG=off`: no line."""
    with serve(tmp_path / "log", ACCESS_LOG="off") as server:
        assert server.get("/health", headers={"X-Request-ID": "unseen"}).ok
    assert "unseen" not in server.log.read_text()
