"""Streamed LLM answers through the real server: what a piece takes on its way, and thirty streams beside one."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

from benchmarks.figures import Record, percentile
from benchmarks.questions import handbook_questions
from benchmarks.running_server import RunningServer, running_server

STREAM_S = 2.0
PIECES = 20
STREAMS = 30


class _Writer(BaseHTTPRequestHandler):
    """Writes one answer in `STREAM_S` seconds; each piece is the time at which it was sent."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for _ in range(PIECES):
            self._send(f"{time.monotonic()} ")
            time.sleep(STREAM_S / PIECES)
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _send(self, piece: str) -> None:
        chunk = {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
        self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 2 * STREAMS
    daemon_threads = True


@contextmanager
def _llm() -> Iterator[str]:
    with _Server(("127.0.0.1", 0), _Writer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


def measure_streams() -> list[Record]:
    """Stream one answer alone, then thirty at once."""
    with (
        _llm() as url,
        running_server({"LLM_API_KEY": "none", "LLM_BASE_URL": url, "MAX_REQUESTS": "0"}) as server,
    ):
        _stream(server, 0)
        return [_record(server, 1), _record(server, STREAMS)]


def _record(server: RunningServer, streams: int) -> Record:
    with ThreadPoolExecutor(streams) as pool:
        seen = list(pool.map(lambda number: _stream(server, number), range(streams)))
    first = [delays[0] for _, delays in seen]
    return {
        "streams at once": streams,
        "first piece, median ms on its way": percentile(first, 50),
        "first piece, slowest ms": max(first),
        "any piece, slowest ms": max(max(delays) for _, delays in seen),
        "whole answer, slowest s": max(seconds for seconds, _ in seen),
    }


def _stream(server: RunningServer, number: int) -> tuple[float, list[float]]:
    """Return the seconds of the whole answer and the milliseconds each piece took from the LLM to here."""
    started, delays, name = time.monotonic(), [], ""
    # The first question is one that is not refused; the number makes it another one for the cache.
    body = {"message": f"{handbook_questions()[0]} ({number})", "stream": True}
    with requests.post(server.url + "/chat", json=body, stream=True, timeout=120) as response:
        for line in response.iter_lines(chunk_size=1, decode_unicode=True):
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif name == "token" and line.startswith("data: "):
                sent = json.loads(line.removeprefix("data: "))["text"]
                delays.append(1000 * (time.monotonic() - float(sent)))
    return time.monotonic() - started, delays
