"""`POST /chat`: one question, one answer, whole or as server-sent events."""

from contextlib import ExitStack

from flask import Blueprint, g, jsonify, request
from flask.typing import ResponseReturnValue

from src.records import Done
from src.web.admission import admit_chat
from src.web.answering import answer_events
from src.web.client_connection import ClientConnection
from src.web.event_stream import answer_frames, stream_response
from src.web.request_parsing import parse_chat_request
from src.web.responses import answer_json
from src.web.services import get_services

chat_routes = Blueprint("chat", __name__)


@chat_routes.post("/chat")
def chat() -> ResponseReturnValue:
    """Answer a question from the documents."""
    chat_request = parse_chat_request(request)
    services = get_services()
    with ExitStack() as stack:
        mode = admit_chat(services, stack)
        events = answer_events(
            services,
            chat_request.message,
            chat_request.history,
            mode,
            top_k=chat_request.top_k,
            filters=chat_request.filters,
            reader=ClientConnection.of(request) if chat_request.stream else None,
        )
        stack.callback(events.close)
        if chat_request.stream:
            return stream_response(events, stack.pop_all(), answer_frames)
        done = next(event for event in events if isinstance(event, Done))
        return jsonify(answer_json(done.answer, g.request_id))
