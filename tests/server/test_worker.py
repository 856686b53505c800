"""What strangers can hold of the real server: nothing that others need."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest
import requests

from benchmarks.running_server import GUNICORN, run_server
from src.server.request_framing import MAX_BODY_BYTES
from tests.conftest import Server, corpus_places, serve, wait_until
from tests.memory.gunicorn_server import GunicornServer, Load

HALF_HEAD = b"POST /chat HTTP/1.1\r\nHost: a\r\nContent-Ty"
HEAD = b"POST /chat HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
HALF_BODY = HEAD + b"Content-Length: 200000\r\n\r\n" + b"x" * 100_000
QUESTION = {"message": "How many days of annual leave do employees get?"}


def port_of(server: Server) -> int:
    return int(server.url.rpartition(":")[2])


@contextmanager
def strangers(server: Server, count: int, data: bytes) -> Iterator[list[socket.socket]]:
    """Hold connections that send this and then nothing more, and never read."""
    with ExitStack() as stack:
        held = []
        for _ in range(count):
            one = stack.enter_context(closing(socket.create_connection(("127.0.0.1", port_of(server)), timeout=5)))
            one.setblocking(False)
            held.append(one)
            with suppress(BlockingIOError, ConnectionError):
                one.send(data)
        yield held


def seconds(call: Callable[[], requests.Response]) -> float:
    started = time.perf_counter()
    response = call()
    assert response.status_code == 200, response.text
    return time.perf_counter() - started


def measure_health(server: Server) -> float:
    """Return the slowest of five probes, in seconds."""
    return max(seconds(lambda: server.get("/health")) for _ in range(5))


def serves_well(server: Server, alone_s: float) -> None:
    """Ask for health and for a chat; on a busy machine both take longer, also without strangers (`alone_s`)."""
    assert measure_health(server) < 1 + 5 * alone_s
    assert seconds(lambda: server.post("/chat", QUESTION)) < 5 + 25 * alone_s


@pytest.mark.parametrize(
    ("count", "data"),
    [
        (1000, b""),
        (200, HALF_HEAD),
        (200, HALF_BODY),
        (50, b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 2000),
        (50, b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n" * 20_000),
        (50, b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
    ],
    ids=["idle", "half a header", "half a body", "never read", "never read probes", "never close"],
)
def test_strangers_hold_all_they_can_and_others_are_served(server: Server, count: int, data: bytes) -> None:
    """`/health` within a second each time, a chat within five, and 20 MB at most."""
    server.ask(**QUESTION)
    alone_s, before = measure_health(server), server.memory().total_mb
    with strangers(server, count, data):
        serves_well(server, alone_s)
        assert server.memory().total_mb - before < 20
    serves_well(server, alone_s)


@pytest.mark.parametrize("limit", [64, 256])
def test_few_file_descriptors_refuse_and_never_kill(tmp_path: Path, limit: int) -> None:
    """The worker lives, and answers while strangers hold all the connections that there can be."""
    with limited(tmp_path, f"ulimit -n {limit}") as server:
        server.ask(**QUESTION)
        alone_s, worker = measure_health(server), server.workers()
        for data in (b"", HALF_HEAD):
            with strangers(server, 300, data):
                serves_well(server, alone_s)
        assert server.workers() == worker


@pytest.mark.parametrize("data", [b"", HALF_HEAD, HALF_BODY])
def test_half_sent_request_does_not_hold_the_end(tmp_path: Path, data: bytes) -> None:
    """SIGTERM: the grace, here 45 s, is for answers."""
    with serve(tmp_path / "log") as server, strangers(server, 3, data):
        server.process.terminate()
        assert server.process.wait(6) == 0


def talk(server: Server, *pieces: bytes) -> bytes:
    """Send the pieces apart, and read until the server closes or says nothing for a while."""
    with closing(socket.create_connection(("127.0.0.1", port_of(server)), timeout=5)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.002)
        received = b""
        while b"\r\n\r\n" not in received or b"100 Continue" in received[-30:]:
            data = connection.recv(65536)
            if not data:
                break
            received += data
        return received


BODY = b'{"query": "annual leave", "limit": 1}'
SEARCH = b"POST /search HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"


def test_request_in_single_bytes_is_answered(server: Server) -> None:
    """A request may come in any pieces."""
    whole = SEARCH + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    assert b" 200 OK" in talk(server, *(bytes([byte]) for byte in whole))


def test_chunked_request_in_single_bytes_is_answered(server: Server) -> None:
    """Chunks, an extension and a trailer too."""
    chunks = b"5;a=b\r\n" + BODY[:5] + b"\r\n%x\r\n" % len(BODY[5:]) + BODY[5:] + b"\r\n0\r\nX-T: 1\r\n\r\n"
    whole = SEARCH + b"Transfer-Encoding: chunked\r\n\r\n" + chunks
    assert b" 200 OK" in talk(server, *(bytes([byte]) for byte in whole))


def test_client_that_waits_for_100_continue_gets_it(server: Server) -> None:
    """The body comes only then, and the answer after it."""
    head = SEARCH + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    with closing(socket.create_connection(("127.0.0.1", port_of(server)), timeout=5)) as connection:
        connection.sendall(head)
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BODY)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    """What comes with a request is the beginning of the next one."""
    first = b"GET /health HTTP/1.1\r\nHost: a\r\nX-Request-ID: one\r\n\r\n"
    second = b"GET /nothing HTTP/1.1\r\nHost: a\r\nX-Request-ID: two\r\nConnection: close\r\n\r\n"
    with closing(socket.create_connection(("127.0.0.1", port_of(server)), timeout=5)) as connection:
        connection.sendall(first + second)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert received.index(b"X-Request-ID: one") < received.index(b"X-Request-ID: two")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nA b: c\r\n\r\n", 400),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (HEAD + b"Content-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1), 413),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n49400\r\n" + b"x" * 300_000 + b"\r\n0\r\n\r\n", 413),
    ],
)
def test_request_that_never_reaches_the_app_is_refused_in_json(
    server: Server, request_bytes: bytes, status: int
) -> None:
    """gunicorn's own refusals have the shape of all errors."""
    received = talk(server, request_bytes)
    assert received.startswith(b"HTTP/1.1 %d " % status), received[:200]
    assert b"Content-Type: application/json" in received
    assert b'{"error": {"code"' in received


@contextmanager
def limited(tmp_path: Path, limit: str) -> Iterator[Server]:
    """Run the server under a limit of the shell."""
    command = ("bash", "-c", f'{limit} && exec "$0" "$@"', *GUNICORN, "app:app")
    with run_server({**corpus_places(), "MAX_REQUESTS": "0"}, log=tmp_path / "log", command=command) as running:
        yield running


def ask_on_kept_connections(server: GunicornServer, stop: threading.Event, think_s: float, seen: list[bool]) -> None:
    """Ask again and again on one connection, without a look at whether it was closed meanwhile."""
    connection = None
    while not stop.is_set():
        try:
            connection = connection or socket.create_connection(("127.0.0.1", server.port), timeout=20)
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = b""
            while b"}" not in answer and (piece := connection.recv(65536)):
                answer += piece
            seen.append(answer.startswith(b"HTTP/1.1 200"))
            is_over = b"connection: close" in answer.lower() or not answer
        except OSError:
            seen.append(False)
            is_over = True
        if is_over and connection:
            connection.close()
            connection = None
        stop.wait(think_s)
    if connection:
        connection.close()


def test_kept_connections_go_to_the_successor(tmp_path: Path) -> None:
    """A client that never looks whether its connection was closed loses nothing at a hand-over."""
    seen: list[bool] = []
    stop = threading.Event()
    with GunicornServer.run(tmp_path, MAX_REQUESTS="20", MAX_REQUESTS_JITTER="0") as server:
        clients = [
            threading.Thread(target=ask_on_kept_connections, args=(server, stop, 2.1 + number / 10, seen))
            for number in range(20)
        ]
        for client in clients:
            client.start()
        with Load().on(server, clients=2, think_s=0.05):
            wait_until(lambda: server.handovers >= 3 and len(seen) > 60, "3 hand-overs", 180)
        stop.set()
        for client in clients:
            client.join()
    assert all(seen)
