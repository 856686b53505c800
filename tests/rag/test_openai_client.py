"""One call to a real HTTP server that fails in every way an OpenAI-compatible API does."""

import contextlib
import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from io import BytesIO
from threading import Barrier, Event, Thread
from types import SimpleNamespace

import pytest
import requests
import urllib3

from src.errors import GenerationError
from src.rag.chat_client import CallFailed, ChatMessage
from src.rag.openai_client import OpenAIClient, _lines, _translated, parse_retry_after
from tests.llm_server import HANG_UP, SSE, LLMServer, Reply, event, failed, serve_llm, streamed

KEY = "sk-test-0123456789"
MESSAGES = [ChatMessage("user", "How many days?")]


@pytest.fixture
def connect() -> Iterator[Callable[[LLMServer], OpenAIClient]]:
    clients: list[OpenAIClient] = []

    def open_client(server: LLMServer) -> OpenAIClient:
        clients.append(OpenAIClient(server.url, KEY))
        return clients[-1]

    yield open_client
    for client in clients:
        client.close()


Connect = Callable[[LLMServer], OpenAIClient]


def ask(client: OpenAIClient, timeout_s: float = 10.0) -> list[str]:
    return list(client.stream("tiny", MESSAGES, max_tokens=50, timeout_s=timeout_s))


def test_request_is_what_openai_documents(connect: Connect) -> None:
    """The path, the bearer token and the body follow the chat completions reference."""
    with serve_llm(streamed("Ten")) as server:
        ask(connect(server))
    (request,) = server.requests
    assert (request.path, request.authorization) == ("/v1/chat/completions", f"Bearer {KEY}")
    assert request.body["model"] == "tiny"
    assert request.body["messages"] == [{"role": "user", "content": "How many days?"}]
    assert (request.body["stream"], request.body["max_tokens"]) == (True, 50)


@pytest.mark.parametrize("chunked", [True, False])
def test_piece_passes_before_the_next_is_sent(connect: Connect, chunked: bool) -> None:
    """A piece is handed on while the server holds the rest back, whether the body is chunked or not."""
    gate = Event()
    reply = Reply(headers=SSE, body=[event("Ten "), gate, event("days", "stop")], chunked=chunked)
    with serve_llm(reply) as server:
        pieces = connect(server).stream("tiny", MESSAGES, max_tokens=50, timeout_s=10)
        assert next(pieces) == "Ten "
        gate.set()
        assert list(pieces) == ["days"]


def test_closing_the_iterator_ends_the_upstream_request(connect: Connect) -> None:
    """When nobody reads any more, the LLM's server learns it."""
    with serve_llm(Reply(headers=SSE, body=[event("Ten "), HANG_UP])) as server:
        pieces = connect(server).stream("tiny", MESSAGES, max_tokens=50, timeout_s=10)
        next(pieces)
        pieces.close()
        assert server.hung_up.wait(10)


def test_comments_and_usage_between_pieces_are_passed_over(connect: Connect) -> None:
    """OpenRouter sends comments while it waits and an event without choices at the end."""
    body = [
        b": OPENROUTER PROCESSING\n\n",
        event("Ten"),
        b'data: {"choices": [], "usage": {}}\n\n',
        b"data: [DONE]\n\n",
    ]
    with serve_llm(Reply(headers=SSE, body=body)) as server:
        assert ask(connect(server)) == ["Ten"]


def test_letters_cut_in_two_come_out_whole(connect: Connect) -> None:
    """A packet may end in the middle of a character."""
    whole = 'data: {"choices": [{"delta": {"content": "naïve"}, "finish_reason": "stop"}]}\n\n'.encode()
    cut = whole.index("ï".encode()) + 1
    with serve_llm(Reply(headers=SSE, body=[whole[:cut], whole[cut:]])) as server:
        assert ask(connect(server)) == ["naïve"]


def test_server_that_does_not_stream_is_read_whole(connect: Connect) -> None:
    """A plain JSON completion is an answer in one piece."""
    body = json.dumps({"choices": [{"message": {"content": "Ten days"}}]}).encode()
    with serve_llm(Reply(body=[body])) as server:
        assert ask(connect(server)) == ["Ten days"]


@pytest.mark.parametrize(
    ("status", "may_pass", "every_model"),
    [
        (400, False, False),
        (401, False, True),
        (402, False, False),
        (403, False, False),
        (404, False, False),
        (307, False, True),
        (429, True, False),
        (500, True, False),
        (503, True, False),
    ],
)
def test_status_tells_what_may_help(connect: Connect, status: int, may_pass: bool, every_model: bool) -> None:
    """429 and 5xx pass, another model may help with 400 and 402 to 404, nothing helps with a wrong key."""
    with serve_llm(failed(status)) as server, pytest.raises(CallFailed, match=str(status)) as caught:
        ask(connect(server))
    assert (caught.value.may_pass, caught.value.every_model) == (may_pass, every_model)


def test_retry_after_is_handed_on(connect: Connect) -> None:
    """What the server asks to wait is known to the one who retries."""
    with serve_llm(failed(429, Retry_After="7")) as server, pytest.raises(CallFailed) as caught:
        ask(connect(server))
    assert caught.value.retry_after_s == 7.0


@pytest.mark.parametrize(("value", "seconds"), [(None, None), ("3", 3.0), ("soon", None), ("-1", None), ("", None)])
def test_retry_after_in_seconds_is_read(value: str | None, seconds: float | None) -> None:
    """Seconds are taken, nonsense is passed over."""
    assert parse_retry_after(value) == seconds


def test_retry_after_as_a_date_is_read() -> None:
    """RFC 9110 allows a date."""
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert parse_retry_after(in_a_minute) == pytest.approx(60, abs=2)


BROKEN = {
    "malformed JSON": Reply(body=[b'{"choices": [']),
    "JSON that is no object": Reply(body=[b"[]"]),
    "no choices": Reply(body=[b"{}"]),
    "choices that are no list": Reply(body=[b'{"choices": {"0": {"message": {"content": "Ten"}}}}']),
    "an error that is a word": Reply(body=[b'{"error": "busy"}']),
    "an HTML page": Reply(headers={"Content-Type": "text/html"}, body=[b"<html>busy</html>"]),
    "an error in a 200": Reply(body=[b'{"error": {"message": "quota", "code": 429}}']),
    "an error event first": Reply(headers=SSE, body=[b'data: {"error": {"code": 502}}\n\n']),
    "an error event in the middle": Reply(headers=SSE, body=[event("Ten "), b'data: {"error": {"code": 502}}\n\n']),
    "a malformed event": Reply(headers=SSE, body=[event("Ten "), b"data: {oops\n\n"]),
    "a stream that breaks off": Reply(headers=SSE, body=[event("Ten ")], breaks_off=True),
    "an unchunked stream that breaks off": Reply(headers=SSE, body=[event("Ten ")], chunked=False),
    "a stream that ends without its end": Reply(headers=SSE, body=[event("Ten ")]),
    "bytes that are no gzip": Reply(headers={**SSE, "Content-Encoding": "gzip"}, body=[b"plain"]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_reply_is_a_failed_call(connect: Connect, name: str) -> None:
    """Whatever comes, the caller sees one kind of error."""
    with serve_llm(BROKEN[name]) as server, pytest.raises(CallFailed) as caught:
        ask(connect(server))
    assert caught.value.may_pass


def test_status_in_a_200_tells_what_may_help(connect: Connect) -> None:
    """Some providers write it into the body."""
    with serve_llm(Reply(body=[b'{"error": {"code": 400}}'])) as server, pytest.raises(CallFailed) as caught:
        ask(connect(server))
    assert not caught.value.may_pass


@pytest.mark.parametrize(
    ("error", "may_pass"), [(requests.exceptions.ConnectTimeout, True), (requests.exceptions.ReadTimeout, False)]
)
def test_server_that_is_not_reached_in_time_may_be_asked_again(error: type[Exception], may_pass: bool) -> None:
    """One that was reached and said nothing has used up the time."""
    with pytest.raises(CallFailed) as caught, _translated():
        raise error
    assert caught.value.may_pass is may_pass


def test_refused_connection_is_a_failed_call() -> None:
    """A server that is not there fails at once, for every model."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    client = OpenAIClient(f"http://127.0.0.1:{port}/v1", KEY)
    with pytest.raises(CallFailed, match="cannot be reached") as caught:
        ask(client)
    assert (caught.value.may_pass, caught.value.every_model) == (True, True)


@pytest.mark.parametrize("where", ["before the headers", "in the stream"])
def test_hang_ends_with_the_time(connect: Connect, where: str) -> None:
    """A server that says nothing more is left when the time is over."""
    gate = Event()
    reply = Reply(headers=SSE, headers_after=gate) if where == "before the headers" else Reply(
        headers=SSE, body=[event("Ten "), gate]
    )  # fmt: skip
    with serve_llm(reply) as server:
        with pytest.raises(CallFailed):
            ask(connect(server), timeout_s=0.2)
        gate.set()


def test_trickle_ends_with_the_time(connect: Connect) -> None:
    """A server that sends a comment now and then for ever is left as well: each read succeeds, the whole does not."""
    stop = Event()

    class Trickle(list[object]):
        def __iter__(self) -> Iterator[object]:
            yield event("Ten ")
            while not stop.wait(0.01):
                yield b": still here\n\n"

    with serve_llm(Reply(headers=SSE, body=Trickle())) as server:
        with pytest.raises(CallFailed):
            ask(connect(server), timeout_s=0.3)
        stop.set()


def test_line_that_comes_byte_by_byte_takes_little_time() -> None:
    """Each byte is a piece that a server can send by itself, up to the longest answer."""
    body = BytesIO(b"a" * 300_000 + b"\nb")
    response = SimpleNamespace(raw=SimpleNamespace(read1=lambda _size, decode_content: body.read(1)))
    started = time.process_time()
    assert [len(line) for line in _lines(response)] == [300_000, 1]  # type: ignore[arg-type]
    assert time.process_time() - started < 2.0


def test_call_without_a_thread_to_spare_is_a_failed_call(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call takes two for its time limits; the documents are quoted then."""

    def refuse(_timer: object) -> None:
        raise RuntimeError("can't start new thread")

    with serve_llm(streamed("Ten")) as server:
        client = connect(server)
        monkeypatch.setattr("src.rag.openai_client.Timer.start", refuse)
        with pytest.raises(CallFailed, match="no more threads") as caught:
            ask(client)
    assert caught.value.may_pass


def test_cookies_of_a_server_are_not_kept(connect: Connect) -> None:
    """They would be sent again, and 100 more with each answer would fill the memory."""
    with serve_llm(Reply(headers={**SSE, "Set-Cookie": "a=b"}, body=[event("Ten", "stop")])) as server:
        client = connect(server)
        ask(client)
        assert not client._session.cookies


def test_thirty_streams_run_at_once(connect: Connect) -> None:
    """Thirty people wait for an LLM together: the server ends none before all have begun."""
    everyone = Barrier(30)
    gate = Event()
    answers: list[list[str]] = []
    with serve_llm(Reply(headers=SSE, body=[event("Ten "), gate, event("days", "stop")])) as server:
        client = connect(server)

        def person() -> None:
            pieces = client.stream("tiny", MESSAGES, max_tokens=50, timeout_s=20)
            first = next(pieces)
            if everyone.wait(20) == 0:
                gate.set()
            answers.append([first, *pieces])

        threads = [Thread(target=person) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert answers == [["Ten ", "days"]] * 30


@pytest.mark.parametrize("module", [requests.exceptions, urllib3.exceptions])
def test_every_error_of_the_libraries_is_translated(module: object) -> None:
    """No error class of requests or urllib3 gets past this module."""
    classes = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, Exception)]
    classes = [c for c in classes if not issubclass(c, Warning) and c.__module__.startswith(("requests", "urllib3"))]
    assert len(classes) > 15
    for error in classes:
        with pytest.raises(GenerationError), _translated():
            raise error.__new__(error)


def test_key_is_in_no_error_and_no_log(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """Some servers repeat the key in what they answer."""
    caplog.set_level(logging.DEBUG)
    body = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}", "code": KEY}}).encode()
    for reply in (Reply(401, body=[body]), Reply(200, body=[body])):
        with serve_llm(reply) as server, pytest.raises(CallFailed) as caught:
            ask(connect(server))
        assert KEY not in str(caught.value)
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("first", "drip"),
    [(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"), (b"", b"HTTP/1.1 100 Continue\r\n\r\n")],
    ids=["headers", "100 Continue"],
)
def test_head_that_drips_ends_with_the_time(first: bytes, drip: bytes) -> None:
    """Each read brings something in time; the whole of it does not, and that is what the time is for."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        over = Event()

        def drip_forever() -> None:
            with listening.accept()[0] as connection, contextlib.suppress(OSError):
                connection.sendall(first)
                while not over.wait(0.05):
                    connection.sendall(drip)

        Thread(target=drip_forever, daemon=True).start()
        client = OpenAIClient(f"http://127.0.0.1:{listening.getsockname()[1]}/v1", KEY)
        began = time.monotonic()
        try:
            with pytest.raises(CallFailed, match=r"cannot be reached|not JSON"):
                ask(client, timeout_s=1.0)
        finally:
            over.set()
            client.close()
        assert time.monotonic() - began < 10


def test_json_too_deep_for_the_parser_is_a_failed_call(connect: Connect) -> None:
    """It is no error of ours."""
    deep = b"[" * 100_000
    with serve_llm(Reply(body=[deep])) as server, pytest.raises(CallFailed, match="not JSON"):
        ask(connect(server))
