"""Runs the pipeline for a route and counts what it answered."""

from collections.abc import Generator, Sequence

from src.rag.reader import Reader
from src.records import AnswerEvent, Done, Filters, MemoryMode, Turn
from src.web.services import Services


def answer_events(
    services: Services,
    message: str,
    history: Sequence[Turn],
    mode: MemoryMode,
    *,
    top_k: int | None = None,
    filters: Filters | None = None,
    reader: Reader | None = None,
) -> Generator[AnswerEvent]:
    """Yield the events of one answer; closing the iterator ends the work.

    Args:
        top_k: None: the service's own.
        filters: None: all documents.
        reader: of a stream, who may leave before its end.
    """
    events = services.get_rag_pipeline().stream(
        message,
        history=history,
        top_k=top_k or services.config.top_k,
        filters=filters or Filters(),
        mode=mode,
        reader=reader,
    )
    try:
        for event in events:
            if isinstance(event, Done):
                services.chat_counts[event.answer.answered_by] += 1
            yield event
    finally:
        events.close()
