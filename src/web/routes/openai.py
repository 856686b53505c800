"""`POST /v1/chat/completions` and `GET /v1/models`: the service as a model for OpenAI-compatible clients."""

import time
from contextlib import ExitStack
from functools import partial

from flask import Blueprint, g, jsonify, request
from flask.typing import ResponseReturnValue

from src.records import Done
from src.web.admission import admit_chat
from src.web.answering import answer_events
from src.web.client_connection import ClientConnection
from src.web.event_stream import stream_response
from src.web.openai_format import MODEL_ID, completion_frames, completion_json, parse_completion_request
from src.web.services import get_services

openai_routes = Blueprint("openai", __name__, url_prefix="/v1")


@openai_routes.get("/models")
def list_models() -> ResponseReturnValue:
    """List the one model there is: the documents."""
    model = {"id": MODEL_ID, "object": "model", "created": 0, "owned_by": MODEL_ID}
    return jsonify(object="list", data=[model])


@openai_routes.post("/chat/completions")
def complete() -> ResponseReturnValue:
    """Answer the last user message from the documents."""
    completion = parse_completion_request(request)
    services = get_services()
    created = int(time.time())
    with ExitStack() as stack:
        mode = admit_chat(services, stack)
        reader = ClientConnection.of(request) if completion.stream else None
        events = answer_events(services, completion.message, completion.history, mode, reader=reader)
        stack.callback(events.close)
        if completion.stream:
            return stream_response(events, stack.pop_all(), partial(completion_frames, created=created))
        done = next(event for event in events if isinstance(event, Done))
        return jsonify(completion_json(done.answer, g.request_id, created))
