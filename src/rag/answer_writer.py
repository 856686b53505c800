"""Writes an answer from the passages that were found: by an LLM, by quotation, or as a refusal.

What is streamed is what the whole answer holds: nothing that was shown is taken back.
"""

import logging
from collections.abc import Iterator, Sequence

from src.errors import GenerationError
from src.rag.citations import find_citations
from src.rag.generator import Generator
from src.rag.prompt import build_answer_messages, choose_passages
from src.rag.quotation import answer_by_quotation
from src.rag.relevance import Floors, Outcome, judge
from src.rag.written_answer import WrittenAnswer
from src.records import Answer, AnsweredBy, Citation, Hit, MemoryMode, Retrieval, Token, Turn

MAX_ANSWER_TOKENS = 600
MAX_NAMED = 3

REFUSAL = "The documents do not answer this question."
UNCERTAIN = "This may not answer your question. It is the passage that comes nearest."
LLM_FAILED = "The language model gave no answer. This is what the documents say."
LLM_BROKE_OFF = "The language model broke off."
QUOTED_BELOW = "What follows is quoted from the documents."
PARTLY_UNSUPPORTED = "A part of this answer was not found in the documents; it is marked."
WORDS_ONLY = "Memory is short at the moment: passages were found by their words only."
NO_VECTORS = "The search by meaning is away at the moment: passages were found by their words only."

logger = logging.getLogger(__name__)


class Draft:
    """One answer while it is written; the methods yield its text as it comes."""

    def __init__(self, question: str, retrieval: Retrieval) -> None:
        self._question = question
        self._retrieval = retrieval
        self._text = ""
        self._end_of_code = ""
        self._answered_by: AnsweredBy = "none"
        self._citations: tuple[Citation, ...] = ()
        self._model: str | None = None
        self._notice: str | None = None

    def reply(self, text: str) -> Iterator[Token]:
        """Say something that needs no passages."""
        yield self._add(text)

    def write(self, generator: Generator | None, history: Sequence[Turn], floors: Floors) -> Iterator[Token]:
        """Let the LLM decide and write, where there is one; else, or when it fails, quote what fits best."""
        if generator and self._retrieval.hits:
            try:
                yield from self._write_by_llm(generator, history)
                return
            except GenerationError as exc:
                logger.warning("Quoting the documents: %s", exc)
                self._notice = LLM_BROKE_OFF if self._text else LLM_FAILED
        yield from self._quote(floors)

    def finish(self, mode: MemoryMode, generate_ms: float, total_ms: float) -> Answer:
        """Make the answer of it; a search by words only is mentioned unless there is something else to say."""
        is_by_words = self._retrieval.kind == "lexical" and self._retrieval.hits
        words_only = WORDS_ONLY if mode is MemoryMode.DEGRADED else NO_VECTORS
        return Answer(
            text=self._text,
            grounded=bool(self._citations),
            answered_by=self._answered_by,
            model=self._model,
            citations=self._citations,
            retrieval=self._retrieval,
            mode=mode,
            generate_ms=generate_ms,
            total_ms=total_ms,
            notice=self._notice or (words_only if is_by_words else None),
        )

    def _add(self, text: str) -> Token:
        self._text += text
        return Token(text)

    def _write_by_llm(self, generator: Generator, history: Sequence[Turn]) -> Iterator[Token]:
        hits = choose_passages(self._retrieval.hits)
        messages = build_answer_messages(self._question, hits, history)
        completion = generator.start(messages, max_tokens=MAX_ANSWER_TOKENS)
        self._model = completion.model
        written = WrittenAnswer(self._question, hits)
        try:
            for piece in completion:
                if shown := written.add(piece):
                    yield self._add(shown)
            if shown := written.finish():
                yield self._add(shown)
        except GenerationError:
            self._model = completion.model if self._text else None
            raise
        finally:
            completion.close()
            self._note_llm(written, hits)
        if written.is_refusal:
            yield from self._refuse()
        elif not self._text:
            self._model = None
            raise GenerationError("The LLM wrote nothing.")

    def _note_llm(self, written: WrittenAnswer, hits: Sequence[Hit]) -> None:
        """Note what the text that was shown rests on, also where no more of it comes."""
        if self._text:
            self._answered_by = "llm"
            self._end_of_code = written.end_of_code
            self._citations = find_citations(self._text, hits)
            self._notice = PARTLY_UNSUPPORTED if written.has_unsupported else None

    def _quote(self, floors: Floors) -> Iterator[Token]:
        """Quote what fits best, or refuse; after an LLM that broke off, below what it wrote."""
        outcome = judge(self._question, self._retrieval, floors)
        hits = () if outcome is Outcome.NOT_FOUND else self._retrieval.hits
        text, citations = answer_by_quotation(self._question, hits)
        if self._text:
            below = f" {QUOTED_BELOW}*\n\n{text}" if text else "*"
            yield self._add(f"{self._end_of_code}\n\n*{LLM_BROKE_OFF}{below}")
        elif not text:
            yield from self._refuse()
        else:
            self._answered_by = "extractive"
            if outcome is Outcome.UNCERTAIN:
                self._notice = UNCERTAIN
            yield self._add(text)
        cited = {citation.marker: citation for citation in (*self._citations, *citations)}
        self._citations = tuple(cited.values())

    def _refuse(self) -> Iterator[Token]:
        """Say that the documents do not answer, and name the nearest passages."""
        text = REFUSAL
        if self._retrieval.hits:
            named = dict.fromkeys(_name(hit) for hit in self._retrieval.hits[:MAX_NAMED])
            text += "\n\nThe nearest passages:\n" + "\n".join(f"- {name}" for name in named)
        yield self._add(text)


def _name(hit: Hit) -> str:
    return ": ".join(part for part in (hit.chunk.title, hit.chunk.section) if part)
