"""From a question to an answer: retrieve, decide whether the documents answer, write by LLM or extractively.

Knows nothing of HTTP, of the process's memory or of the environment: the memory mode comes with each question.
"""

import logging
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from src.errors import GenerationError
from src.rag import generator as llm
from src.rag.citations import resolve_citations
from src.rag.extractive import answer_extractively
from src.rag.history import add_context, bound_history
from src.rag.prompt import NOT_ANSWERED, build_answer_messages, build_rewrite_messages
from src.rag.reader import Reader
from src.rag.relevance import is_answerable
from src.rag.small_talk import reply_to_small_talk
from src.rag.support import mark_unsupported
from src.records import (
    Answer,
    AnsweredBy,
    AnswerEvent,
    Citation,
    Done,
    Filters,
    MemoryMode,
    Retrieval,
    RetrievalKind,
    Sources,
    Token,
    Turn,
)

MAX_ANSWER_TOKENS = 600
MAX_REWRITE_TOKENS = 80
MAX_REWRITE_CHARS = 400
REWRITE_TIMEOUT_S = 6.0

REFUSAL = "The documents do not answer this question."
LLM_FAILED = "The language model could not be reached; these are the sentences of the documents that fit best."
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


class Search(Protocol):
    """Whoever finds passages."""

    def search(self, query: str, *, limit: int, filters: Filters, kind: RetrievalKind, joined: bool) -> Retrieval:
        """Return up to `limit` passages, best first; `joined`: those that follow one another in a section as one."""
        ...


@dataclass(frozen=True, slots=True)
class _Written:
    """A written answer, before the times are known."""

    text: str
    answered_by: AnsweredBy
    citations: tuple[Citation, ...] = ()
    model: str | None = None
    notice: str | None = None

    def finish(self, retrieval: Retrieval, mode: MemoryMode, generate_ms: float, total_ms: float) -> Answer:
        """Make the answer of it; a search by words only is mentioned unless there is something else to say."""
        notice = WORDS_ONLY if mode is MemoryMode.DEGRADED and retrieval.hits else None
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
            notice=self.notice or notice,
        )


class RAGPipeline:
    """Answers questions.

    Args:
        generator: None: no LLM is set, every answer is extractive.
        relevance_floor: see `src/rag/relevance.py`; None: not calibrated.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        retriever: Search,
        generator: llm.Generator | None,
        relevance_floor: float | None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._retriever = retriever
        self._generator = generator
        self._relevance_floor = relevance_floor
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
        reader: Reader | None = None,
    ) -> Generator[AnswerEvent]:
        """Yield the sources, the pieces of the text as they come, and the whole answer, which replaces the pieces.

        Closing the iterator ends the LLM's work.

        Args:
            reader: when they leave, the LLM's work ends too.

        Raises:
            ReaderLeft: they left.
        """
        began = self._clock()
        query, earlier = question, bound_history(history)
        if reply := reply_to_small_talk(question):
            retrieval = Retrieval((), MODE_LIMITS[mode].kind, 0, 0.0, 0.0)
        else:
            query = self._to_query(question, earlier)
            retrieval = self._search(query, top_k, filters, mode)
        generating = self._clock()
        yield Sources(retrieval)
        if reply:
            written = yield from _say(_Written(reply, "none"))
        else:
            written = yield from self._write(question, query, earlier, retrieval, reader)
        ended = self._clock()
        yield Done(written.finish(retrieval, mode, (ended - generating) * 1000, (ended - began) * 1000))

    def _search(self, query: str, top_k: int, filters: Filters, mode: MemoryMode) -> Retrieval:
        limits = MODE_LIMITS[mode]
        limit = max(1, top_k // limits.top_k_divisor)
        return self._retriever.search(query, limit=limit, filters=filters, kind=limits.kind, joined=True)

    def _to_query(self, question: str, history: Sequence[Turn]) -> str:
        """Return the question as it would be put without the conversation before it."""
        if not history:
            return question
        if self._generator:
            try:
                messages = build_rewrite_messages(question, history)
                completion = self._generator.start(messages, max_tokens=MAX_REWRITE_TOKENS, timeout_s=REWRITE_TIMEOUT_S)
                rewritten = " ".join("".join(completion).split())
                if 0 < len(rewritten) <= MAX_REWRITE_CHARS:
                    return rewritten
            except GenerationError as exc:
                logger.warning("Question not rewritten: %s", exc)
        return add_context(question, history)

    def _write(
        self, question: str, query: str, history: Sequence[Turn], retrieval: Retrieval, reader: Reader | None
    ) -> Generator[AnswerEvent, None, _Written]:
        if not is_answerable(query, retrieval, self._relevance_floor):
            return (yield from _say(_Written(REFUSAL, "none")))
        notice = None
        if self._generator:
            try:
                return (yield from self._write_by_llm(self._generator, question, history, retrieval, reader))
            except GenerationError as exc:
                logger.warning("Answering extractively: %s", exc)
                notice = LLM_FAILED
        cited = answer_extractively(query, retrieval.hits)
        if not cited.citations:
            return (yield from _say(_Written(REFUSAL, "none", notice=notice)))
        return (yield from _say(_Written(cited.text, "extractive", cited.citations, notice=notice)))

    def _write_by_llm(
        self,
        generator: llm.Generator,
        question: str,
        history: Sequence[Turn],
        retrieval: Retrieval,
        reader: Reader | None,
    ) -> Generator[AnswerEvent, None, _Written]:
        messages = build_answer_messages(question, retrieval.hits, history)
        completion = generator.start(messages, max_tokens=MAX_ANSWER_TOKENS, reader=reader)
        text = ""
        try:
            for piece in completion:
                text += piece
                yield Token(piece)
        finally:
            completion.close()
        if not text.strip():
            raise GenerationError("The LLM wrote nothing.")
        if NOT_ANSWERED in text:
            return _Written(REFUSAL, "none", model=completion.model)
        cited = resolve_citations(text, retrieval.hits)
        marked = mark_unsupported(cited.text, question, retrieval.hits)
        notice = PARTLY_UNSUPPORTED if marked != cited.text else None
        return _Written(marked, "llm", cited.citations, completion.model, notice)


def _say(written: _Written) -> Generator[AnswerEvent, None, _Written]:
    """Yield a text that is there at once."""
    yield Token(written.text)
    return written
