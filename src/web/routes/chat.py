"""`POST /chat` and the OpenAI-compatible `/v1`: one question, one answer, whole or as server-sent events.

`POST /feedback` says whether the answer helped; that is counted and logged, not stored.
"""

import logging
import time
from functools import partial

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from src.errors import RequestError
from src.web.chat_run import answer_chat
from src.web.openai_format import completion_frames, completion_json, models_json, parse_completion_request
from src.web.request_parsing import parse_chat_request, parse_feedback
from src.web.responses import answer_frames, answer_json
from src.web.services import get_services

chat_routes = Blueprint("chat", __name__)

logger = logging.getLogger(__name__)


@chat_routes.post("/chat")
def chat() -> ResponseReturnValue:
    """Answer a question from the documents."""
    return answer_chat(parse_chat_request(request), answer_json, answer_frames)


@chat_routes.post("/v1/chat/completions")
def complete() -> ResponseReturnValue:
    """Answer the last user message from the documents, in OpenAI's format."""
    completion = parse_completion_request(request)
    model, created = get_services().config.app_name, int(time.time())
    return answer_chat(
        completion,
        partial(completion_json, model=model, created=created),
        partial(completion_frames, model=model, created=created),
    )


@chat_routes.get("/v1/models")
def list_models() -> ResponseReturnValue:
    """List the models that an OpenAI-compatible client can pick."""
    return jsonify(models_json(get_services().config.app_name))


@chat_routes.post("/feedback")
def give_feedback() -> ResponseReturnValue:
    """Count whether the answer of a request helped, and write it into the log."""
    services = get_services()
    if services.config.feedback == "off":
        raise RequestError("Feedback is off. FEEDBACK=on turns it on.", status=403, code="forbidden")
    request_id, is_helpful = parse_feedback(request)
    services.feedback_counts["helpful" if is_helpful else "not_helpful"] += 1
    logger.info("Feedback: request_id=%s helpful=%s", request_id, "yes" if is_helpful else "no")
    return "", 204
