"""The OpenAI chat-completions format: request to record, answer to JSON or chunks.

Sources ride along twice: as footnotes under the text, for clients that show only text, and in the extra field
`sources`. System messages are not obeyed: what the service is told to do stands in its own prompt. The name of the
model is `APP_NAME`.
"""

import json
from collections.abc import Iterator
from typing import Any

from flask import Request

from src.errors import RagError, RequestError
from src.records import Answer, AnswerEvent, Done, Filters, Token, Turn
from src.web.request_parsing import (
    MAX_TURN_CHARS,
    MAX_TURNS,
    ChatRequest,
    clean_earlier,
    parse_flag,
    parse_json_object,
    parse_text,
)
from src.web.responses import broken_off_json, citation_json, sources_json

_IGNORED_ROLES = {"system", "developer", "tool", "function"}


def parse_completion_request(request: Request) -> ChatRequest:
    """Read the body: the last user message is the question, what comes before it is its history.

    Whatever was said earlier is taken as it is, because nobody can change it. Fields that steer an LLM's sampling are
    accepted and have no effect.

    Raises:
        RequestError: 400 that names the field.
    """
    body = parse_json_object(request)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise RequestError("messages is required and must be a list with at least one message.")
    turns = {name: turn for at, item in enumerate(messages) if (turn := _parse_turn(item, name := f"messages[{at}]"))}
    asked = [name for name, turn in turns.items() if turn.role == "user"]
    if not asked:
        raise RequestError('One of messages must have the role "user"; the last of those is the question.')
    earlier = list(turns.values())[: list(turns).index(asked[-1])]
    name = f"{asked[-1]}.content"
    return ChatRequest(
        message=parse_text({name: turns[asked[-1]].content}, name, MAX_TURN_CHARS),
        history=tuple(Turn(turn.role, clean_earlier(turn.content)) for turn in earlier[-MAX_TURNS:]),
        top_k=None,
        filters=Filters(),
        stream=body.get("stream") is not None and parse_flag(body, "stream"),
    )


def models_json(model: str) -> dict[str, Any]:
    """List the one model there is: the documents."""
    return {"object": "list", "data": [{"id": model, "object": "model", "created": 0, "owned_by": model}]}


def completion_json(answer: Answer, request_id: str, model: str, created: int) -> dict[str, Any]:
    """Give the whole answer as one `chat.completion`.

    Args:
        created: seconds since 1970.
    """
    message = {"role": "assistant", "content": answer.text + _footnotes(answer)}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return {**_head("chat.completion", request_id, model, created), "choices": [choice], **_extra(answer)}


def completion_frames(events: Iterator[AnswerEvent], request_id: str, model: str, created: int) -> Iterator[str]:
    """Give the answer as `chat.completion.chunk`s and `[DONE]`, as server-sent data."""

    def frame(delta: dict[str, str], finish: str | None = None, extra: dict[str, Any] | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        chunk = {**_head("chat.completion.chunk", request_id, model, created), "choices": [choice], **(extra or {})}
        return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"

    yield frame({"role": "assistant", "content": ""})
    try:
        for event in events:
            match event:
                case Token(text):
                    yield frame({"content": text})
                case Done(answer):
                    if footnotes := _footnotes(answer):
                        yield frame({"content": footnotes})
                    yield frame({}, "stop", _extra(answer))
    except RagError as exc:
        yield f"data: {json.dumps(broken_off_json(exc, request_id), ensure_ascii=False)}\n\n"
    yield "data: [DONE]\n\n"


def _parse_turn(item: Any, field: str) -> Turn | None:
    if not isinstance(item, dict) or not isinstance(item.get("role"), str):
        raise RequestError(f'{field} must be {{"role": ..., "content": ...}}.')
    if item["role"] in _IGNORED_ROLES:
        return None
    if item["role"] not in ("user", "assistant"):
        raise RequestError(f"{field}.role {item['role']!r} is unknown.")
    content = _plain_text(item.get("content"))
    if item["role"] == "assistant" and not content:
        return None  # a turn that only called a tool
    if not isinstance(content, str):
        raise RequestError(f"{field}.content is required and must be a string.")
    return Turn(item["role"], content)


def _plain_text(content: Any) -> Any:
    if not isinstance(content, list):
        return content
    parts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
    return "\n".join(part for part in parts if isinstance(part, str))


def _head(kind: str, request_id: str, model: str, created: int) -> dict[str, Any]:
    return {"id": f"chatcmpl-{request_id}", "object": kind, "created": created, "model": model}


def _extra(answer: Answer) -> dict[str, Any]:
    citations = [citation_json(citation) for citation in answer.citations]
    return {"sources": sources_json(answer.retrieval), "citations": citations, "grounded": answer.grounded}


def _footnotes(answer: Answer) -> str:
    lines = []
    for citation in answer.citations:
        page = f"page {citation.page}" if citation.page else ""
        place = ", ".join(part for part in (citation.title, citation.section, page) if part)
        lines.append(f"[{citation.marker}] {place} ({citation.document})")
    return "\n\n" + "\n".join(lines) if lines else ""
