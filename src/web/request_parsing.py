"""Turns the bodies and query strings of requests into records, or raises a `RequestError` that names the field."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Request

from src.errors import RequestError
from src.records import Filters, Turn

MAX_MESSAGE_CHARS = 2000
MAX_TURN_CHARS = 8000
# A character takes up to 12 bytes in a query string, and gunicorn refuses a request line of over 8190.
MAX_ARGUMENT_CHARS = 500
MAX_TURNS = 50
MAX_TOP_K = 20
MAX_LIMIT = 50
MAX_OFFSET = 100_000_000
MAX_FILTER_DOCUMENTS = 100

# A request's id: short and plain, so that it is fit for a header and a log line.
PLAIN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """The body of `POST /chat`; `top_k` is None where the caller left it to the service."""

    message: str
    history: tuple[Turn, ...]
    top_k: int | None
    filters: Filters
    stream: bool


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search, from a body or a query string."""

    query: str
    limit: int
    offset: int
    filters: Filters


def parse_chat_request(request: Request) -> ChatRequest:
    """Read the body of `POST /chat`."""
    body = parse_json_object(request)
    _refuse_unknown(body, {"message", "question", "history", "top_k", "filters", "stream"})
    if "message" in body and "question" in body:
        raise RequestError("Send either message or question, not both.")
    name = "question" if "question" in body else "message"
    accepts_events = request.accept_mimetypes.best == "text/event-stream"
    return ChatRequest(
        message=parse_text(body, name, MAX_MESSAGE_CHARS),
        history=parse_history(body.get("history", [])),
        top_k=parse_integer(body, "top_k", 1, MAX_TOP_K) if "top_k" in body else None,
        filters=parse_filters(body.get("filters", {})),
        stream=parse_flag(body, "stream") or accepts_events,
    )


def parse_search_body(request: Request) -> SearchRequest:
    """Read the body of `POST /search`."""
    body = parse_json_object(request)
    _refuse_unknown(body, {"query", "limit", "offset", "filters"})
    return SearchRequest(
        query=parse_text(body, "query", MAX_MESSAGE_CHARS),
        limit=parse_integer(body, "limit", 1, MAX_LIMIT, default=10),
        offset=parse_integer(body, "offset", 0, MAX_OFFSET, default=0),
        filters=parse_filters(body.get("filters", {})),
    )


def parse_search_arguments(arguments: Mapping[str, str]) -> SearchRequest:
    """Read the query string of `GET /search`."""
    limit, offset = parse_page(arguments, default_limit=10)
    return SearchRequest(parse_text(arguments, "q", MAX_ARGUMENT_CHARS), limit, offset, Filters())


def parse_feedback(request: Request) -> tuple[str, bool]:
    """Read the body of `POST /feedback`: the id of the request that was answered, and whether that helped."""
    body = parse_json_object(request)
    _refuse_unknown(body, {"request_id", "helpful"})
    request_id, is_helpful = body.get("request_id"), body.get("helpful")
    if not isinstance(request_id, str) or not PLAIN_ID.fullmatch(request_id):
        raise RequestError("request_id is required: the one of the answer, up to 64 letters, digits, '.', '_' and '-'.")
    if not isinstance(is_helpful, bool):
        raise RequestError("helpful is required and must be true or false.")
    return request_id, is_helpful


def parse_page(arguments: Mapping[str, str], *, default_limit: int) -> tuple[int, int]:
    """Read `limit` and `offset` from a query string."""
    values = {name: _read_number(arguments[name], name) for name in ("limit", "offset") if name in arguments}
    limit = parse_integer(values, "limit", 1, MAX_LIMIT, default=default_limit)
    return limit, parse_integer(values, "offset", 0, MAX_OFFSET, default=0)


def parse_offset(arguments: Mapping[str, str]) -> int:
    """Read `offset`, in characters of a document."""
    return _read_number(arguments.get("offset", "0"), "offset")


def parse_json_object(request: Request) -> dict[str, Any]:
    """Read a body as one JSON object.

    Raises:
        RequestError: 415 for another content type, 400 for another value or no JSON.
    """
    if not request.is_json:
        raise RequestError("Send JSON with Content-Type: application/json.", status=415, code="unsupported_media_type")
    try:
        body = json.loads(request.get_data(cache=False), parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as exc:
        raise RequestError(f"The body is not valid JSON: {exc}.") from exc
    if not isinstance(body, dict):
        raise RequestError("The body must be a JSON object.")
    return body


def parse_text(body: Mapping[str, Any], name: str, max_chars: int) -> str:
    """Read a text that is not blank and holds no control characters but tab and line break."""
    value = body.get(name)
    if not isinstance(value, str):
        raise RequestError(f"{name} is required and must be a string.")
    if not value.strip():
        raise RequestError(f"{name} is empty. Write a question of 1 to {max_chars} characters.")
    if len(value) > max_chars:
        raise RequestError(f"{name} has {len(value)} characters; at most {max_chars} are allowed.")
    found = _FORBIDDEN.search(value)
    if found:
        raise RequestError(f"{name} holds the control character U+{ord(found.group()):04X} at {found.start()}.")
    return value


def clean_earlier(text: str) -> str:
    """Make fit what was said before the question: its end, which is what is used, without control characters."""
    return _FORBIDDEN.sub(" ", text[-MAX_TURN_CHARS:])


def parse_integer(body: Mapping[str, Any], name: str, low: int, high: int, *, default: int | None = None) -> int:
    """Read a whole number within a range; a missing one is `default`, where there is one."""
    value = body.get(name, default)
    if isinstance(value, float) and value.is_integer():  # 5.0 is an integer in JSON
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise RequestError(f"{name} must be a whole number from {low} to {high}.")
    return value


def parse_flag(body: Mapping[str, Any], name: str) -> bool:
    """Read true or false; missing is false."""
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise RequestError(f"{name} must be true or false.")
    return value


def parse_history(value: Any) -> tuple[Turn, ...]:
    """Read the earlier turns, oldest first; only users and assistants speak there."""
    if not isinstance(value, list) or len(value) > MAX_TURNS:
        raise RequestError(f"history must be a list of at most {MAX_TURNS} turns.")
    turns = []
    for position, item in enumerate(value):
        field = f"history[{position}]"
        if not isinstance(item, dict) or set(item) != {"role", "content"}:
            raise RequestError(f'{field} must be {{"role": ..., "content": ...}}.')
        if item["role"] not in ("user", "assistant"):
            raise RequestError(f'{field}.role must be "user" or "assistant".')
        named = {f"{field}.content": item["content"]}
        turns.append(Turn(item["role"], parse_text(named, f"{field}.content", MAX_TURN_CHARS)))
    return tuple(turns)


def parse_filters(value: Any) -> Filters:
    """Read `{"document": path or [paths]}`."""
    if not isinstance(value, dict) or set(value) - {"document"}:
        raise RequestError('filters must be {"document": "path" or ["path", ...]}.')
    named = value.get("document", [])
    paths = [named] if isinstance(named, str) else named
    if not isinstance(paths, list) or len(paths) > MAX_FILTER_DOCUMENTS:
        raise RequestError(f"filters.document must be a path or a list of at most {MAX_FILTER_DOCUMENTS} paths.")
    return Filters(tuple(parse_text({"filters.document": path}, "filters.document", 1000) for path in paths))


def _read_number(text: str, name: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise RequestError(f"{name} must be a whole number.")
    return int(text)


def _refuse_unknown(body: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(body) - known)
    if unknown:
        raise RequestError(f"Unknown field {unknown[0]!r}; known are {', '.join(sorted(known))}.")


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return dict(pairs)
