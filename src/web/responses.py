"""Turns records into what the HTTP contract says: JSON, or an answer as server-sent events.

The events are `sources`, `token`…, `done` (the whole body), or `error`.
"""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import chain
from typing import Any
from urllib.parse import quote

from flask import Response, g

from src.errors import RagError
from src.records import Answer, AnswerEvent, Chunk, Citation, Done, Hit, Retrieval, Sources, Token
from src.web.error_handlers import without_folders

logger = logging.getLogger(__name__)


def answer_json(answer: Answer, request_id: str) -> dict[str, Any]:
    """Give the body of `POST /chat`."""
    return {
        "answer": answer.text,
        "grounded": answer.grounded,
        "answered_by": answer.answered_by,
        "model": answer.model,
        "citations": [citation_json(citation) for citation in answer.citations],
        "sources": sources_json(answer.retrieval),
        "retrieval": answer.retrieval.kind,
        "mode": answer.mode.value,
        "timings_ms": {
            "embed": round(answer.retrieval.embed_ms, 1),
            "retrieve": round(answer.retrieval.retrieve_ms, 1),
            "generate": round(answer.generate_ms, 1),
            "total": round(answer.total_ms, 1),
        },
        "notice": answer.notice,
        "request_id": request_id,
    }


def citation_json(citation: Citation) -> dict[str, Any]:
    """Give a citation with the address at which it can be seen in its place."""
    return {
        "marker": citation.marker,
        "document": citation.document,
        "title": citation.title,
        "section": citation.section,
        "page": citation.page,
        "excerpt": citation.excerpt,
        "start": citation.start,
        "end": citation.end,
        "highlights": [list(span) for span in citation.highlights],
        "url": f"/documents/{quote(citation.document)}?start={citation.start}&end={citation.end}",
    }


def sources_json(retrieval: Retrieval, offset: int = 0) -> list[dict[str, Any]]:
    """Give the retrieved passages; ranks count from 1 over all pages of the list."""
    return [_source_json(hit, offset + place) for place, hit in enumerate(retrieval.hits, start=1)]


def _source_json(hit: Hit, rank: int) -> dict[str, Any]:
    chunk = hit.chunk
    return {
        "rank": rank,
        "chunk_id": chunk.chunk_id,
        "document": chunk.document,
        "title": chunk.title,
        "section": chunk.section,
        "page": chunk.page,
        "text": chunk.text,
        "score": round(hit.score, 6),
    }


def passage_json(chunk: Chunk) -> dict[str, Any]:
    """Give a passage as the index cut it, without its text, which the document holds."""
    return {
        "chunk_id": chunk.chunk_id,
        "section": chunk.section,
        "page": chunk.page,
        "start": chunk.start,
        "end": chunk.end,
    }


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
