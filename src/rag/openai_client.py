"""A `ChatClient` for OpenAI-compatible APIs: one call to `/chat/completions`, and every way it can fail.

It does not retry and does not choose models: `generator.py` does. No error
message repeats what the server wrote, because some servers repeat the key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from socket import SHUT_RDWR, socket
from threading import Timer
from typing import TYPE_CHECKING, Any

from src.rag.chat_client import CallFailed, ChatMessage

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

CONNECT_TIMEOUT_S = 5.0
TEMPERATURE = 0.1
POOL_CONNECTIONS = 32  # MAX_CONCURRENT_CHATS by default
MAX_ANSWER_BYTES = 1_000_000
# 408, 425, 429 and 5xx pass; 529 is "overloaded" at Anthropic-like servers.
_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
# The key or the address is wrong: no other model will do better. 403 is not here: it may be a provider's moderation.
_HOPELESS = frozenset({301, 302, 303, 307, 308, 401, 405, 407, 411})


class OpenAIClient:
    """Sends chat completions over one pooled session; safe for many threads."""

    def __init__(self, base_url: str, api_key: str) -> None:
        from http.cookiejar import DefaultCookiePolicy

        import requests
        from requests.adapters import HTTPAdapter

        def authorise(request: PreparedRequest) -> PreparedRequest:
            request.headers["Authorization"] = f"Bearer {api_key}"
            return request

        self._url = f"{base_url}/chat/completions"
        self._session = requests.Session()
        # A server that sets cookie after cookie would fill the memory.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        # As `auth`, not as a header: a ~/.netrc would replace a header.
        self._session.auth = authorise
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=POOL_CONNECTIONS)
        adapter.poolmanager.pool_classes_by_scheme = _pools_with_a_deadline()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)

    def stream(
        self, model: str, messages: Sequence[ChatMessage], *, max_tokens: int, timeout_s: float
    ) -> Generator[str]:
        """Yield the pieces of one answer as they come, as `ChatClient.stream` says."""
        with (
            closing(self._post(model, messages, max_tokens, timeout_s)) as response,
            # A read times out only when nothing comes. The timer also ends an answer that drips without end.
            _timer(max(0.0, timeout_s - response.elapsed.total_seconds()), _end, response),
            _translated(),
        ):
            yield from _read_answer(response)

    def _post(self, model: str, messages: Sequence[ChatMessage], max_tokens: int, timeout_s: float) -> Response:
        body = {
            "model": model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "max_tokens": max_tokens,
            "temperature": TEMPERATURE,
            "stream": True,
        }
        timeout = (min(CONNECT_TIMEOUT_S, timeout_s), timeout_s)
        with _translated():
            return self._session.post(self._url, json=body, stream=True, allow_redirects=False, timeout=timeout)

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()


@contextmanager
def _timer(seconds: float, end: Callable[[Any], None], what: Any) -> Iterator[None]:
    """End something unless the block ends in time."""
    timer = Timer(seconds, end, [what])
    timer.daemon = True
    try:
        timer.start()
    except RuntimeError as exc:
        raise CallFailed("the system gives no more threads", may_pass=True, every_model=True) from exc
    try:
        yield
    finally:
        timer.cancel()


def _pools_with_a_deadline() -> dict[str, type]:
    """Make urllib3's pools of connections on which the head of a response comes in time as a whole.

    urllib3 bounds each read. A server that drips its headers, or says "100 Continue" again and again, is then waited
    for without end.
    """
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.connection import HTTPConnection, HTTPSConnection

    def bounded(connection: type[HTTPConnection]) -> type[HTTPConnection]:
        class Bounded(connection):  # type: ignore[misc, valid-type]
            def getresponse(self) -> Any:
                with _timer(self.timeout, _shut, self.sock):
                    return super().getresponse()

        return Bounded

    http = type("Pool", (HTTPConnectionPool,), {"ConnectionCls": bounded(HTTPConnection)})
    https = type("Pool", (HTTPSConnectionPool,), {"ConnectionCls": bounded(HTTPSConnection)})
    return {"http": http, "https": https}


def _end(response: Response) -> None:
    """End a response that another thread reads, unless it has just ended by itself."""
    with suppress(OSError, ValueError, RuntimeError):
        response.raw.shutdown()


def _shut(sock: socket) -> None:
    """End a connection that another thread reads from."""
    with suppress(OSError):
        sock.shutdown(SHUT_RDWR)


def _read_answer(response: Response) -> Iterator[str]:
    if response.status_code != 200:
        raise _failure(response.status_code, response.headers.get("Retry-After"))
    lines = _lines(response)
    if "text/event-stream" in response.headers.get("Content-Type", ""):
        yield from _read_events(lines)
    else:
        choice = _choice(_parse(b"\n".join(lines)))
        yield _content(choice.get("message"))


def _read_events(lines: Iterator[bytes]) -> Iterator[str]:
    is_finished = False
    for line in lines:
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            return
        event = _parse(data)
        if not event.get("error") and not event.get("choices"):
            continue  # such as the usage at the end
        choice = _choice(event)
        if piece := _content(choice.get("delta")):
            yield piece
        if choice.get("finish_reason") == "error":
            raise CallFailed("the stream ended with an error", may_pass=True)
        is_finished = is_finished or bool(choice.get("finish_reason"))
    if not is_finished:
        raise CallFailed("the stream broke off", may_pass=True)


def _lines(response: Response) -> Iterator[bytes]:
    """Cut what comes into lines at once; `iter_lines` waits for 512 bytes of a body that is not chunked."""
    rest: list[bytes] = []
    total = 0
    while block := response.raw.read1(65536, decode_content=True):
        total += len(block)
        if total > MAX_ANSWER_BYTES:
            raise CallFailed(f"the answer is over {MAX_ANSWER_BYTES} bytes", may_pass=False)
        rest.append(block)
        if b"\n" in block:
            *whole, last = b"".join(rest).split(b"\n")
            rest = [last]
            yield from whole
    if any(rest):
        yield b"".join(rest)


def _parse(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise CallFailed("the answer is not JSON", may_pass=True) from exc
    if not isinstance(value, dict):
        raise CallFailed("the answer is not a JSON object", may_pass=True)
    return value


def _choice(body: dict[str, Any]) -> dict[str, Any]:
    if error := body.get("error"):
        code = error.get("code") if isinstance(error, dict) else None
        raise _failure(code if isinstance(code, int) else 500, None)
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        raise CallFailed("the answer has no choices", may_pass=True)
    return choice


def _content(message: Any) -> str:
    content = message.get("content") if isinstance(message, dict) else None
    return content if isinstance(content, str) else ""


def _failure(status: int, retry_after: str | None) -> CallFailed:
    return CallFailed(
        f"HTTP status {status}",
        may_pass=status in _PASSING,
        every_model=status in _HOPELESS,
        retry_after_s=parse_retry_after(retry_after),
    )


def parse_retry_after(value: str | None) -> float | None:
    """Read a `Retry-After` header, in seconds or as a date; None where there is none to be read."""
    if value is None:
        return None
    try:
        if value.strip().isdigit():
            return float(value)
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


@contextmanager
def _translated() -> Iterator[None]:
    """Raise the errors of requests and urllib3 as ours, without their text: it may hold the address's credentials."""
    from requests.exceptions import ConnectTimeout, RequestException, Timeout
    from urllib3.exceptions import HTTPError, ProxySchemeUnsupported, ReadTimeoutError

    try:
        yield
    except (RequestException, HTTPError, ProxySchemeUnsupported) as exc:
        timed_out = isinstance(exc, Timeout | ReadTimeoutError) and not isinstance(exc, ConnectTimeout)
        raise CallFailed(
            f"the LLM server cannot be reached ({type(exc).__name__})", may_pass=not timed_out, every_model=True
        ) from exc
