"""One shape for every error, and the only place where an unexpected exception is caught.

Programs get JSON; a person's browser gets the same error as a page.
"""

import logging
import re

from flask import Flask, Response, g, jsonify, make_response, render_template, request
from werkzeug.exceptions import HTTPException

from src.errors import ArtifactError, RequestError, ServiceUnavailable
from src.web.pages import get_texts, prefers_html

_FOLDERS = re.compile(r"(?<![\w:/.])/(?:[^/\s'\"]+/)+")

logger = logging.getLogger(__name__)

_CODES = {
    400: "invalid_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    429: "rate_limited",
}
_TITLES = {  # keys of texts.json
    401: "key_is_needed",
    404: "not_here",
    405: "not_here",
    429: "a_moment_please",
    500: "something_failed",
    503: "not_available",
}


def without_folders(message: str) -> str:
    """Leave of each path in a message its last part: where things lie on the server is nobody's business."""
    return _FOLDERS.sub("", message)


def error_response(status: int, code: str, message: str, *, retry_after_s: int | None = None) -> Response:
    """Give `{"error": {...}}` or its page, with its status, and `Retry-After` where waiting helps."""
    error = {"code": code, "message": without_folders(message), "request_id": g.get("request_id", "")}
    if request.method in ("GET", "HEAD") and prefers_html():
        title = get_texts()[_TITLES.get(status, "did_not_work")]
        response = make_response(render_template("error.html", title=title, status=status, error=error))
    else:
        response = jsonify(error=error)
    response.status_code = status
    response.vary.add("Accept")
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(retry_after_s)
    return response


def register_error_handlers(app: Flask) -> None:
    """Translate our errors, Werkzeug's and everything else into that shape."""

    @app.errorhandler(RequestError)
    @app.errorhandler(ServiceUnavailable)
    def refuse(exc: RequestError | ServiceUnavailable) -> Response:
        response = error_response(exc.status, exc.code, str(exc), retry_after_s=exc.retry_after_s)
        if exc.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        return response

    @app.errorhandler(ArtifactError)
    def refuse_artifact(exc: ArtifactError) -> Response:
        logger.error("Index or model unusable: %s", exc)
        return error_response(503, "index_unusable", str(exc), retry_after_s=60)

    @app.errorhandler(HTTPException)
    def translate(exc: HTTPException) -> Response:
        status = exc.code or 500
        response = error_response(status, _CODES.get(status, "error"), exc.description or exc.name)
        allowed = getattr(exc, "valid_methods", None)
        if allowed:
            response.headers["Allow"] = ", ".join(sorted(allowed))
        return response

    @app.errorhandler(Exception)
    def hide(exc: Exception) -> Response:
        logger.exception("Request failed unexpectedly: request_id=%s", g.get("request_id", ""), exc_info=exc)
        return error_response(500, "internal_error", "Something failed on our side; the log has this request's id.")
