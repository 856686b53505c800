"""Answers written by an LLM, through the real server and a real HTTP server that stands for the LLM's API."""

import json
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import requests

from tests.conftest import Server, free_port, serve, wait_until
from tests.llm_server import HANG_UP, SSE, LLMServer, Reply, event, serve_llm, streamed

QUESTION = "How many days of annual leave can be carried over?"
STREAMS = 30


@pytest.fixture(scope="module")
def llm() -> Iterator[LLMServer]:
    with serve_llm(streamed("none")) as running:
        yield running


@pytest.fixture(scope="module")
def server(llm: LLMServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {"LLM_API_KEY": "sk-test", "LLM_BASE_URL": llm.url, "LLM_MODEL": "test-model", "MAX_REQUESTS": "0"}
    with serve(tmp_path_factory.mktemp("llm") / "log", **settings) as running:
        yield running


def ask_for_stream(server: Server) -> requests.Response:
    body = {"message": QUESTION, "stream": True}
    return requests.post(server.url + "/chat", json=body, stream=True, timeout=60)


def events_of(response: requests.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    name = ""
    for line in response.iter_lines(chunk_size=1, decode_unicode=True):
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def first_token(events: Iterator[tuple[str, dict[str, Any]]]) -> str:
    return next(str(data["text"]) for name, data in events if name == "token")


def test_llm_answers_from_numbered_passages_and_invented_markers_go(server: Server, llm: LLMServer) -> None:
    """The model gets the passages with numbers; a number that was not among them does not reach the person."""
    llm.script = [streamed("Up to five days can be carried over into the next year [1]. ", "They must be taken [19].")]
    llm.requests.clear()
    body = server.ask(QUESTION)
    assert (body["answered_by"], body["model"], body["grounded"]) == ("llm", "test-model", True)
    markers = {int(marker) for marker in re.findall(r"\[(\d+)\]", body["answer"])}
    assert markers == {citation["marker"] for citation in body["citations"]} == {1}
    prompt = json.dumps(llm.requests[0].body["messages"])
    assert "[1]" in prompt
    assert "They must be taken by 31 March" in prompt
    assert llm.requests[0].authorization == "Bearer sk-test"


def test_code_of_an_llm_passes_unchanged_on_every_way_out(server: Server, llm: LLMServer) -> None:
    """Indexes stay, and none of them is a citation or a footnote."""
    code = "`items[0]` and\n```py\nx[2] = y[9]\n```\n"
    llm.script = [streamed(*f"Leave is carried over by {code}as told [1].")]
    body = server.ask(QUESTION)
    assert code in body["answer"]
    assert [citation["marker"] for citation in body["citations"]] == [1]
    with ask_for_stream(server) as response:
        *events, (_, done) = events_of(response)
    assert "".join(str(data["text"]) for name, data in events if name == "token") == done["answer"] == body["answer"]
    messages = {"messages": [{"role": "user", "content": QUESTION}]}
    content = server.post("/v1/chat/completions", messages).json()["choices"][0]["message"]["content"]
    assert content.startswith(body["answer"] + "\n\n[1] ")
    assert content.count("\n[") == 1


def test_first_token_passes_through_while_the_llm_still_writes(server: Server, llm: LLMServer) -> None:
    """Nothing collects the answer on its way; `done` brings the pieces joined."""
    gate = Event()
    llm.script = [Reply(headers=SSE, body=[event("Five "), gate, event("days [1].", "stop"), b"data: [DONE]\n\n"])]
    with ask_for_stream(server) as response:
        events = events_of(response)
        assert next(events)[0] == "sources"
        assert first_token(events) == "Five"
        gate.set()
        name, data = list(events)[-1]
    assert name == "done"
    assert data["answer"].startswith("Five days [1].")


def test_thirty_people_wait_for_the_llm_at_once(server: Server, llm: LLMServer) -> None:
    """All have their first token before any answer may end, and /health is answered meanwhile."""
    gate, begun = Event(), []
    llm.script = [Reply(headers=SSE, body=[event("Five "), gate, event("days [1].", "stop"), b"data: [DONE]\n\n"])]

    def ask(_number: int) -> str:
        with ask_for_stream(server) as response:
            events = events_of(response)
            begun.append(first_token(events))
            return list(events)[-1][0]

    with ThreadPoolExecutor(STREAMS) as pool:
        ends = [pool.submit(ask, number) for number in range(STREAMS)]
        wait_until(lambda: len(begun) == STREAMS, "thirty first tokens", 60)
        assert server.get("/health").status_code == 200
        gate.set()
        assert [end.result(timeout=60) for end in ends] == ["done"] * STREAMS


def test_client_that_leaves_ends_the_llms_work_and_frees_the_place(llm: LLMServer, tmp_path: Path) -> None:
    """With one place for chats, the next chat is served once the LLM writes on for a client that has left."""
    settings = {"LLM_API_KEY": "sk-test", "LLM_BASE_URL": llm.url, "MAX_CONCURRENT_CHATS": "1"}
    with serve(tmp_path / "log", **settings) as server:
        has_left = Event()
        unread = [event("more ")] * 3
        llm.script = [Reply(headers=SSE, body=[event("Five "), has_left, *unread, HANG_UP]), streamed("Five [1].")]
        llm.hung_up.clear()
        response = ask_for_stream(server)
        events = events_of(response)  # to drop it would be to hang up
        assert first_token(events) == "Five"
        assert server.post("/chat", {"message": QUESTION}).status_code == 503
        response.close()
        has_left.set()
        wait_until(lambda: server.post("/chat", {"message": QUESTION}).status_code == 200, "a free place", 15)
        assert llm.hung_up.wait(15)


def test_client_of_a_whole_answer_that_leaves_frees_its_place_at_the_next_piece(llm: LLMServer, tmp_path: Path) -> None:
    """One mechanism for both: what is about to be sent sees that nobody is there."""
    settings = {"LLM_API_KEY": "sk-test", "LLM_BASE_URL": llm.url, "MAX_CONCURRENT_CHATS": "1"}
    with serve(tmp_path / "log", **settings) as server:
        server.ask(QUESTION)
        has_left = Event()
        llm.script = [
            Reply(headers=SSE, body=[event("Five. "), has_left, event("More. "), event("And. "), HANG_UP]),
            streamed("Five [1]."),
        ]
        llm.hung_up.clear()
        llm.requests.clear()
        with closing(socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])))) as connection:
            body = json.dumps({"message": QUESTION + " Now?"}).encode()
            head = f"POST /chat HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
            connection.sendall(head.encode() + b"\r\n\r\n" + body)
            wait_until(lambda: llm.requests, "the LLM is asked")
            assert server.post("/chat", {"message": QUESTION}).status_code == 503
        has_left.set()
        wait_until(lambda: server.post("/chat", {"message": QUESTION}).status_code == 200, "a free place", 10)
        assert llm.hung_up.wait(10)


def test_llm_that_cannot_be_reached_leaves_the_documents_own_sentences(tmp_path: Path) -> None:
    """The person gets an answer and a notice, not an error; the key is in no log."""
    settings = {"LLM_API_KEY": "sk-secret-key", "LLM_BASE_URL": f"http://127.0.0.1:{free_port()}/v1"}
    with serve(tmp_path / "log", LLM_TIMEOUT_S="5", LOG_LEVEL="DEBUG", **settings) as server:
        body = server.ask(QUESTION)
        assert (body["answered_by"], body["model"]) == ("extractive", None)
        assert body["notice"]
        assert body["citations"]
    assert "sk-secret-key" not in (tmp_path / "log").read_text()
