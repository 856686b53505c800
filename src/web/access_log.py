"""One line in the log for each request, when it has been answered to the last byte.

It holds no question, no answer, no key and no address of a client: the route stands there as it is declared.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from flask import Flask, Response, g, request

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class RequestNotes:
    """What a request's line says that the response does not; "-" where nothing was answered."""

    started: float = field(default_factory=time.perf_counter)
    answered_by: str = "-"
    mode: str = "-"
    sent_bytes: int = 0


def notes_of_request() -> RequestNotes:
    """Return the notes of the current request, made at the first call."""
    notes = g.setdefault("notes", RequestNotes())
    assert isinstance(notes, RequestNotes)
    return notes


def register_access_log(app: Flask) -> None:
    """Write a line for every response of this app."""

    @app.before_request
    def start_clock() -> None:
        notes_of_request()

    @app.after_request
    def note(response: Response) -> Response:
        notes, method, request_id = notes_of_request(), request.method, g.get("request_id", "-")
        route = request.url_rule.rule if request.url_rule else "-"
        if response.mimetype == "text/event-stream":
            response.response = _counted(response.iter_encoded(), notes)
        else:
            notes.sent_bytes = response.content_length or 0

        def write_line() -> None:
            ms = 1000 * (time.perf_counter() - notes.started)
            logger.info(
                "%s %s %d: %.1f ms, %d bytes, answered_by=%s, mode=%s, request_id=%s",
                method, route, response.status_code, ms, notes.sent_bytes, notes.answered_by, notes.mode, request_id,
            )  # fmt: skip

        response.call_on_close(write_line)
        return response


def _counted(parts: Iterator[bytes], notes: RequestNotes) -> Iterator[bytes]:
    for part in parts:
        notes.sent_bytes += len(part)
        yield part
