"""From a question to an answer: find the passages, then let `answer_writer.py` write from them or quote them.

Knows nothing of HTTP, of the process's memory or of the environment: the memory mode comes with each question.
"""

import time
from collections.abc import Callable, Sequence
from collections.abc import Generator as Events
from dataclasses import replace
from functools import partial
from typing import Protocol

from src.rag.answer_writer import Draft
from src.rag.conversation import bound_history, put_in_context, reply_to_small_talk
from src.rag.generator import Generator
from src.rag.relevance import DEFAULT_FLOORS, MOST_NEAR, Floors, needed_nearness
from src.records import (
    Answer,
    AnswerEvent,
    Done,
    Filters,
    Hit,
    MemoryMode,
    Retrieval,
    RetrievalKind,
    Sources,
    Turn,
)

NO_FILTERS = Filters()


class Passages(Protocol):
    """The documents, as far as answering needs them."""

    def find_passages(self, query: str, *, limit: int, filters: Filters, kind: RetrievalKind) -> Retrieval:
        """Return up to `limit` passages, best first."""
        ...

    def list_titles(self, limit: int) -> tuple[list[str], int]:
        """Return the first documents' titles, and how many documents there are."""
        ...


class RAGPipeline:
    """Answers questions.

    Args:
        generator: None: no LLM is set, every answer is a quotation.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        passages: Passages,
        generator: Generator | None,
        floors: Floors = DEFAULT_FLOORS,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._passages = passages
        self._generator = generator
        self._floors = floors
        self._clock = clock

    def answer(
        self,
        question: str,
        *,
        history: Sequence[Turn] = (),
        top_k: int,
        filters: Filters = NO_FILTERS,
        mode: MemoryMode,
    ) -> Answer:
        """Return the whole answer."""
        events = self.stream(question, history=history, top_k=top_k, filters=filters, mode=mode)
        return next(event.answer for event in events if isinstance(event, Done))

    def stream(
        self,
        question: str,
        *,
        history: Sequence[Turn] = (),
        top_k: int,
        filters: Filters = NO_FILTERS,
        mode: MemoryMode,
    ) -> Events[AnswerEvent]:
        """Yield the sources, the pieces of the text as they come, and the whole answer, which is those pieces joined.

        Closing the iterator ends the LLM's work.
        """
        began = self._clock()
        limit = max(1, top_k // 2) if mode is MemoryMode.CAUTIOUS else top_k
        turns, reply = bound_history(history), reply_to_small_talk(question, self._passages.list_titles)
        if reply:
            retrieval = Retrieval((), mode.search_kind, 0, 0.0, 0.0)
        else:
            search = partial(self._passages.find_passages, limit=limit, filters=filters, kind=mode.search_kind)
            retrieval = self._find(question, turns, search, limit)
        found = self._clock()
        yield Sources(retrieval)
        draft = Draft(question, retrieval)
        if reply:
            yield from draft.reply(reply)
        else:
            yield from draft.write(self._generator, turns, self._floors)
        ended = self._clock()
        yield Done(draft.finish(mode, (ended - found) * 1000, (ended - began) * 1000))

    def _find(
        self, question: str, history: Sequence[Turn], search: Callable[[str], Retrieval], limit: int
    ) -> Retrieval:
        """Search for the question as it stands, and in its context where that may be what was meant.

        An LLM gets the passages of both searches and decides by the conversation. Without one, the search in context
        counts only if it comes clearly nearer.
        """
        alone = search(question)
        in_context = put_in_context(question, history)
        needed = needed_nearness(question, alone)
        if in_context is None or (self._generator is None and needed >= MOST_NEAR):
            return alone
        other = search(in_context)
        is_follow_up = bool(other.hits) and (needed == 0.0 or (other.nearest or 0.0) > needed)
        first, second = (other, alone) if is_follow_up else (alone, other)
        return _merge(first, second, limit) if self._generator else first


def _merge(first: Retrieval, second: Retrieval, limit: int) -> Retrieval:
    """Take the passages of two searches in turns; none that overlaps one before it."""
    merged: list[Hit] = []
    for rank in range(limit):
        for hits in (first.hits, second.hits):
            if rank < len(hits) and not any(_overlap(hits[rank], taken) for taken in merged):
                merged.append(hits[rank])
    return replace(
        first,
        hits=tuple(merged[:limit]),
        total=max(first.total, second.total),
        embed_ms=first.embed_ms + second.embed_ms,
        retrieve_ms=first.retrieve_ms + second.retrieve_ms,
    )


def _overlap(hit: Hit, other: Hit) -> bool:
    one, two = hit.chunk, other.chunk
    return one.document == two.document and one.start < two.end and two.start < one.end
