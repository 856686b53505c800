"""Admits a request to the services, and runs a chat: one way for every route, whole and as a stream."""

import select
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

from flask import Response, g, jsonify, request

from src.errors import ArtifactError, RequestError, ServiceUnavailable
from src.records import Answer, AnswerEvent, Done, MemoryMode
from src.web.request_parsing import ChatRequest
from src.web.responses import stream_response
from src.web.services import Services, get_services

WAIT_FOR_SERVICES_S = 30.0
RETRY_WHEN_FULL_S = 5

ToBody = Callable[[Answer, str], dict[str, Any]]
ToFrames = Callable[[Iterator[AnswerEvent], str], Iterator[str]]


@contextmanager
def admitted(services: Services, *, words_only: bool = False) -> Iterator[MemoryMode]:
    """Hold a place while the block runs; its memory mode says what may be done there.

    Args:
        words_only: the search needs no more than the texts; DEGRADED implies it. Nothing else is waited for.

    Raises:
        ServiceUnavailable: all places are taken, the services are not ready within the limit, or memory is short.
    """
    if not services.slots.acquire(blocking=False):
        message = (
            f"The server is already answering {services.config.max_concurrent_chats} requests. Ask again in a moment."
        )
        raise ServiceUnavailable(message, retry_after_s=RETRY_WHEN_FULL_S, code="too_many_chats")
    try:
        mode = services.memory.observe()
        if mode is not MemoryMode.DEGRADED and not words_only:
            services.readiness.wait(WAIT_FOR_SERVICES_S)
        yield mode
    except ArtifactError:
        services.forget_damaged()
        raise
    finally:
        services.slots.release()


@contextmanager
def running_chat(services: Services, chat: ChatRequest) -> Iterator[Iterator[AnswerEvent]]:
    """Admit a chat and give its events; the work ends with the block, and each answer is counted."""
    with admitted(services) as mode:
        events = services.get_rag_pipeline().stream(
            chat.message,
            history=chat.history,
            top_k=chat.top_k or services.config.top_k,
            filters=chat.filters,
            mode=mode,
        )
        with closing(events):
            yield _counted(events, services)


def answer_chat(chat: ChatRequest, to_body: ToBody, to_frames: ToFrames) -> Response:
    """Run a chat and send its answer as the caller wants it.

    Args:
        to_body: turns the answer, with the request's id, into the JSON of the whole.
        to_frames: turns the events, with the request's id, into server-sent frames.
    """
    with ExitStack() as stack:
        events = stack.enter_context(running_chat(get_services(), chat))
        if chat.stream:
            return stream_response(events, to_frames, stack.pop_all())
        done = next(event for event in _while_client_waits(events) if isinstance(event, Done))
        return jsonify(to_body(done.answer, g.request_id))


def _while_client_waits(events: Iterator[AnswerEvent]) -> Iterator[AnswerEvent]:
    """Stop when the client of a whole answer has hung up, seen at the next piece of the answer.

    A stream needs no look: it cannot be written any more.

    Raises:
        RequestError: 499, which nobody reads.
    """
    sock = request.environ.get("gunicorn.socket")
    poll = select.poll()
    if sock is not None:
        poll.register(sock, getattr(select, "POLLRDHUP", 0))
    for event in events:
        if poll.poll(0):
            raise RequestError("The client has hung up.", status=499, code="client_gone")
        yield event


def _counted(events: Iterator[AnswerEvent], services: Services) -> Iterator[AnswerEvent]:
    environ = request.environ
    try:
        for event in events:
            if isinstance(event, Done):
                services.chat_counts[event.answer.answered_by] += 1
                # For the access log, which gunicorn writes.
                environ |= {"rag512.answered_by": event.answer.answered_by, "rag512.mode": event.answer.mode}
            yield event
    except ArtifactError:
        services.forget_damaged()
        raise
