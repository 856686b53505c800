"""From a question to an answer: find passages, let an LLM write from them, or quote the passage that fits best.

Knows nothing of HTTP, of the process's memory or of the environment: the memory mode comes with each question.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Generator as Events
from dataclasses import dataclass, replace
from typing import Protocol

from src.errors import GenerationError
from src.rag.citations import CitedText, resolve_citations
from src.rag.conversation import bound_history, put_in_context, reply_to_small_talk
from src.rag.generator import Generator
from src.rag.prompt import build_answer_messages
from src.rag.quotation import answer_by_quotation
from src.rag.relevance import DEFAULT_FLOORS, MOST_NEAR, Floors, Outcome, judge, needed_nearness
from src.rag.written_answer import WrittenAnswer
from src.records import (
    Answer,
    AnsweredBy,
    AnswerEvent,
    Citation,
    Done,
    Filters,
    Hit,
    MemoryMode,
    Retrieval,
    RetrievalKind,
    Sources,
    Token,
    Turn,
)

MAX_ANSWER_TOKENS = 600
MAX_NAMED = 3

REFUSAL = "The documents do not answer this question."
UNCERTAIN = "This may not answer your question. It is the passage that comes nearest."
LLM_FAILED = "The language model could not be reached. This is what the documents say."
LLM_BROKE_OFF = "The language model broke off. What follows is quoted from the documents."
PARTLY_UNSUPPORTED = "A part of this answer was not found in the documents; it is marked."
WORDS_ONLY = "Memory is short at the moment: passages were found by their words only."

NO_FILTERS = Filters()

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModeLimits:
    """What a memory mode allows: the kind of search, and by how much fewer passages are taken."""

    kind: RetrievalKind
    top_k_divisor: int


MODE_LIMITS = {
    MemoryMode.NORMAL: ModeLimits("hybrid", 1),
    MemoryMode.CAUTIOUS: ModeLimits("hybrid", 2),
    MemoryMode.DEGRADED: ModeLimits("lexical", 1),  # needs no model and no vectors
}


class Passages(Protocol):
    """The documents, as far as answering needs them."""

    def find_passages(self, query: str, *, limit: int, filters: Filters, kind: RetrievalKind) -> Retrieval:
        """Return up to `limit` passages, best first."""
        ...

    def list_titles(self, limit: int) -> tuple[list[str], int]:
        """Return the first documents' titles, and how many documents there are."""
        ...


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question with what narrows its answer."""

    question: str
    history: tuple[Turn, ...]
    limit: int
    filters: Filters
    mode: MemoryMode


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
        limit = max(1, top_k // MODE_LIMITS[mode].top_k_divisor)
        asked = _Asked(question, bound_history(history), limit, filters, mode)
        reply = reply_to_small_talk(question, self._passages.list_titles)
        retrieval = Retrieval((), MODE_LIMITS[mode].kind, 0, 0.0, 0.0) if reply else self._find(asked)
        found = self._clock()
        yield Sources(retrieval)
        draft = _Draft(reply or "", "none")
        if reply:
            yield Token(reply)
        else:
            yield from self._write(asked, retrieval, draft)
        ended = self._clock()
        yield Done(draft.finish(retrieval, mode, (ended - found) * 1000, (ended - began) * 1000))

    def _find(self, asked: _Asked) -> Retrieval:
        """Search for the question as it stands, and in its context where that may be what was meant.

        An LLM gets the passages of both searches and decides by the conversation. Without one, the search in context
        counts only if it comes clearly nearer.
        """
        alone = self._search(asked.question, asked)
        in_context = put_in_context(asked.question, asked.history)
        needed = needed_nearness(asked.question, alone)
        if in_context is None or (self._generator is None and needed >= MOST_NEAR):
            return alone
        other = self._search(in_context, asked)
        is_follow_up = bool(other.hits) and (needed == 0.0 or (other.nearest or 0.0) > needed)
        first, second = (other, alone) if is_follow_up else (alone, other)
        return _merge(first, second, asked.limit) if self._generator else first

    def _search(self, query: str, asked: _Asked) -> Retrieval:
        kind = MODE_LIMITS[asked.mode].kind
        return self._passages.find_passages(query, limit=asked.limit, filters=asked.filters, kind=kind)

    def _write(self, asked: _Asked, retrieval: Retrieval, draft: "_Draft") -> Iterator[AnswerEvent]:
        if self._generator and retrieval.hits:
            try:
                yield from _write_by_llm(self._generator, asked, retrieval, draft)
                return
            except GenerationError as exc:
                logger.warning("Quoting the documents: %s", exc)
                draft.notice = LLM_BROKE_OFF if draft.text else LLM_FAILED
        yield from _quote(asked.question, retrieval, self._floors, draft)


class _Draft:
    """An answer while it is written."""

    def __init__(self, text: str, answered_by: AnsweredBy) -> None:
        self.text = text
        self.answered_by = answered_by
        self.citations: tuple[Citation, ...] = ()
        self.model: str | None = None
        self.notice: str | None = None

    def finish(self, retrieval: Retrieval, mode: MemoryMode, generate_ms: float, total_ms: float) -> Answer:
        """Make the answer of it; a search by words only is mentioned unless there is something else to say."""
        words_only = WORDS_ONLY if mode is MemoryMode.DEGRADED and retrieval.hits else None
        return Answer(
            text=self.text,
            grounded=bool(self.citations),
            answered_by=self.answered_by,
            model=self.model,
            citations=self.citations,
            retrieval=retrieval,
            mode=mode,
            generate_ms=generate_ms,
            total_ms=total_ms,
            notice=self.notice or words_only,
        )


def _write_by_llm(generator: Generator, asked: _Asked, retrieval: Retrieval, draft: _Draft) -> Iterator[AnswerEvent]:
    completion = generator.start(
        build_answer_messages(asked.question, retrieval.hits, asked.history), max_tokens=MAX_ANSWER_TOKENS
    )
    written = WrittenAnswer(asked.question, retrieval.hits)
    try:
        for piece in completion:
            if shown := written.add(piece):
                draft.text += shown
                yield Token(shown)
    finally:
        completion.close()
        _note_written(written, completion.model, retrieval, draft)
    if rest := written.finish():
        draft.text += rest
        yield Token(rest)
    if written.is_refusal:
        yield from _refuse(retrieval, draft)
    elif not draft.text:
        raise GenerationError("The LLM wrote nothing.")
    _note_written(written, completion.model, retrieval, draft)


def _note_written(written: WrittenAnswer, model: str, retrieval: Retrieval, draft: _Draft) -> None:
    """Keep what is known of the text that was shown so far, in case no more comes."""
    if draft.text:
        draft.model = model
    if draft.text and not written.is_refusal:
        draft.answered_by = "llm"
        draft.citations = resolve_citations(draft.text, retrieval.hits).citations
        draft.notice = PARTLY_UNSUPPORTED if written.has_unsupported else None


def _quote(question: str, retrieval: Retrieval, floors: Floors, draft: _Draft) -> Iterator[AnswerEvent]:
    """Quote what fits best, or refuse; after an LLM that broke off, below what it wrote."""
    outcome = judge(retrieval, floors)
    quoted = answer_by_quotation(question, retrieval.hits) if outcome is not Outcome.NOT_FOUND else CitedText("", ())
    if not draft.text and not quoted.citations:
        yield from _refuse(retrieval, draft)
        return
    text = quoted.text
    if draft.text:
        text = f"\n\n*{LLM_BROKE_OFF}*" + (f"\n\n{text}" if text else "")
    else:
        draft.answered_by = "extractive"
        if outcome is Outcome.UNCERTAIN:
            draft.notice = UNCERTAIN
    draft.text += text
    cited = {citation.marker: citation for citation in (*quoted.citations, *draft.citations)}
    draft.citations = tuple(cited.values())
    yield Token(text)


def _refuse(retrieval: Retrieval, draft: _Draft) -> Iterator[AnswerEvent]:
    """Say that the documents do not answer, and name the nearest passages."""
    draft.answered_by = "none"
    draft.text = REFUSAL
    if retrieval.hits:
        named = dict.fromkeys(_name(hit) for hit in retrieval.hits[:MAX_NAMED])
        draft.text += "\n\nThe nearest passages:\n" + "\n".join(f"- {name}" for name in named)
    yield Token(draft.text)


def _name(hit: Hit) -> str:
    return ": ".join(part for part in (hit.chunk.title, hit.chunk.section) if part)


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
