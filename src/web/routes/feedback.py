"""`POST /feedback`: whether an answer helped. It is counted and logged, not stored."""

import logging

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from src.errors import RequestError
from src.web.request_parsing import parse_feedback
from src.web.services import get_services

feedback_routes = Blueprint("feedback", __name__)

logger = logging.getLogger(__name__)


@feedback_routes.post("/feedback")
def give_feedback() -> ResponseReturnValue:
    """Count whether the answer of a request helped, and write it into the log."""
    services = get_services()
    if services.config.feedback == "off":
        raise RequestError("Feedback is off. FEEDBACK=on turns it on.", status=403, code="forbidden")
    request_id, is_helpful = parse_feedback(request)
    services.feedback_counts["helpful" if is_helpful else "not_helpful"] += 1
    logger.info("Feedback: request_id=%s helpful=%s", request_id, "yes" if is_helpful else "no")
    return "", 204
