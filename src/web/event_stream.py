"""Answers as server-sent events: `sources`, `token`…, `done` (the whole body), or `error`."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import chain
from typing import Any

from flask import Response, g

from src.errors import RagError
from src.records import AnswerEvent, Done, Sources, Token
from src.web.error_handlers import without_folders
from src.web.responses import answer_json, sources_json

logger = logging.getLogger(__name__)


def stream_response(
    events: Iterator[AnswerEvent],
    to_frames: Callable[[Iterator[AnswerEvent], str], Iterator[str]],
    resources: ExitStack,
) -> Response:
    """Send the events as they come; `resources` is closed when the response ends or can no longer be sent.

    The first event is taken before the response starts, so that a failed retrieval still has its own status.
    """
    with resources:
        first = next(events)
        frames = to_frames(chain([first], events), g.request_id)
        response = Response(frames, mimetype="text/event-stream")
        response.headers["Cache-Control"] = "no-cache"
        response.headers["X-Accel-Buffering"] = "no"
        response.call_on_close(resources.pop_all().close)
        return response


def answer_frames(events: Iterator[AnswerEvent], request_id: str) -> Iterator[str]:
    """Name and write each event of the answer."""
    try:
        for event in events:
            yield _frame_of(event, request_id)
    except RagError as exc:
        yield _frame("error", broken_off_json(exc, request_id))


def broken_off_json(exc: RagError, request_id: str) -> dict[str, Any]:
    """Log that an answer broke off in the middle, and give the error that the stream ends with."""
    logger.warning("Answer broke off: request_id=%s: %s", request_id, exc)
    return {"error": {"code": "answer_broke_off", "message": without_folders(str(exc)), "request_id": request_id}}


def _frame_of(event: AnswerEvent, request_id: str) -> str:
    match event:
        case Sources(retrieval):
            return _frame("sources", {"sources": sources_json(retrieval)})
        case Token(text):
            return _frame("token", {"text": text})
        case Done(answer):
            return _frame("done", answer_json(answer, request_id))


def _frame(name: str, data: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
