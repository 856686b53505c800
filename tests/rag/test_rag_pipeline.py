"""The whole way from a question to an answer. The LLM is a client of one method; two tests ask a real HTTP server."""

import logging
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Generator as Pieces
from contextlib import ExitStack

import pytest

from src.rag.answer_writer import (
    LLM_BROKE_OFF,
    LLM_FAILED,
    MAX_ANSWER_TOKENS,
    NO_VECTORS,
    PARTLY_UNSUPPORTED,
    QUOTED_BELOW,
    REFUSAL,
    UNCERTAIN,
    WORDS_ONLY,
)
from src.rag.chat_client import CallFailed, ChatMessage
from src.rag.circuit_breaker import CircuitBreaker
from src.rag.generator import Generator
from src.rag.openai_client import OpenAIClient
from src.rag.rag_pipeline import RAGPipeline
from src.rag.relevance import MOST_NEAR, Floors
from src.records import (
    Answer,
    AnswerEvent,
    Chunk,
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
from tests.fakes import Passages, make_chunk
from tests.llm_server import HANG_UP, SSE, LLMServer, Reply, event, failed, serve_llm, streamed

LEAVE = make_chunk("Staff have 27 days of paid leave.", "Ask in Roster.", start=10)
TAXI = make_chunk("Taxis are paid after 21:00.", document="travel.md", title="Travel", section="Taxis")
QUESTION = "How many days of paid leave?"
FAR = "Who won the football cup?"
NORMAL = MemoryMode.NORMAL
FLOORS = Floors(refuse=0.8, certain=1.04)
HISTORY = (Turn("user", QUESTION), Turn("assistant", "27 days."))
BREAKS_OFF = CallFailed("gone", may_pass=False)


class LLM:
    """A client that gives its scripted answers, one a call, and keeps what it was sent."""

    def __init__(self, *answers: "Sequence[str | CallFailed]") -> None:
        self.answers = list(answers)
        self.calls: list[list[ChatMessage]] = []
        self.max_tokens: list[int] = []
        self.closed = 0

    def stream(self, model: str, messages: Sequence[ChatMessage], *, max_tokens: int, timeout_s: float) -> Pieces[str]:
        self.calls.append(list(messages))
        self.max_tokens.append(max_tokens)
        try:
            for piece in self.answers.pop(0):
                if isinstance(piece, CallFailed):
                    raise piece
                yield piece
        finally:
            self.closed += 1


@pytest.fixture
def passages() -> Passages:
    return Passages(LEAVE, TAXI)


def serve(passages: Passages, llm: LLM | None = None) -> RAGPipeline:
    generator = Generator(llm, ["tiny"], 10.0, CircuitBreaker(), sleep=lambda _: None) if llm else None
    return RAGPipeline(passages, generator, FLOORS)


def ask(passages: Passages, llm: LLM | None = None, question: str = QUESTION, history: Sequence[Turn] = ()) -> Answer:
    """Ask; what is streamed, joined, is the answer's text."""
    events = list(serve(passages, llm).stream(question, history=history, top_k=2, mode=NORMAL))
    answer = whole(events)
    assert text_of(events) == answer.text
    return answer


def whole(events: Sequence[AnswerEvent]) -> Answer:
    first, *_, last = events
    assert isinstance(first, Sources)
    assert isinstance(last, Done)
    assert first.retrieval == last.answer.retrieval
    return last.answer


def text_of(events: Sequence[AnswerEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Token))


# Without an LLM


def test_without_a_key_the_passage_is_quoted(passages: Passages) -> None:
    """Whole and cited, its best sentence marked, and nothing to notice."""
    answer = ask(passages)
    assert answer.text == "Staff have 27 days of paid leave. Ask in Roster. [1]"
    assert (answer.answered_by, answer.grounded, answer.model, answer.notice) == ("extractive", True, None, None)
    (citation,) = answer.citations
    assert (citation.document, citation.start, citation.highlights) == ("leave.md", 10, ((10, 43),))


def test_passage_that_may_not_answer_is_shown_as_such(passages: Passages) -> None:
    """Between the floors it is quoted under a notice, and counts as grounded."""
    pipeline = RAGPipeline(passages, None, Floors(0.8, 9.0))
    answer = pipeline.answer(QUESTION, top_k=2, mode=NORMAL)
    assert (answer.answered_by, answer.grounded, answer.notice) == ("extractive", True, UNCERTAIN)
    assert answer.text.startswith("Staff have 27 days")


def test_refusal_names_the_nearest_passages(passages: Passages) -> None:
    """Under the floor nothing is quoted; title and section tell where to look, and the sources are there."""
    answer = RAGPipeline(passages, None, Floors(8.0, 9.0)).answer("taxis paid after 21:00?", top_k=2, mode=NORMAL)
    assert answer.text == f"{REFUSAL}\n\nThe nearest passages:\n- Travel: Taxis\n- Leave"
    assert (answer.answered_by, answer.grounded, answer.citations, answer.notice) == ("none", False, (), None)
    assert len(answer.retrieval.hits) == 2


def test_refusal_names_three_places_at_most_and_none_twice() -> None:
    """Two passages of one section are one place."""
    for titles, lines in (("AABC", "- A\n- B"), ("ABCD", "- A\n- B\n- C")):
        chunks = [make_chunk("Rule.", document=f"{n}.md", title=title) for n, title in enumerate(titles)]
        pipeline = RAGPipeline(Found(alone=(0.1, chunks)), None, Floors(8.0, 9.0))  # type: ignore[arg-type]
        answer = pipeline.answer("rule", top_k=5, mode=NORMAL)
        assert answer.text == f"{REFUSAL}\n\nThe nearest passages:\n{lines}"


def test_refusal_without_passages_is_one_line(passages: Passages) -> None:
    """Nothing is promised where nothing was found."""
    assert ask(passages, question=FAR).text == REFUSAL


@pytest.mark.parametrize(
    ("mode", "limit", "kind"),
    [(MemoryMode.NORMAL, 7, "hybrid"), (MemoryMode.CAUTIOUS, 3, "hybrid"), (MemoryMode.DEGRADED, 7, "lexical")],
)
def test_mode_decides_what_is_searched(passages: Passages, mode: MemoryMode, limit: int, kind: str) -> None:
    """CAUTIOUS takes half the passages, DEGRADED neither embeds nor asks Chroma."""
    answer = RAGPipeline(passages, None, FLOORS).answer(QUESTION, top_k=7, mode=mode)
    assert passages.queries == [(QUESTION, limit, kind)]
    assert answer.mode is mode
    assert "27 days" in answer.text


def test_cautious_with_one_passage_still_takes_one(passages: Passages) -> None:
    """Half of one is one."""
    RAGPipeline(passages, None, FLOORS).answer(QUESTION, top_k=1, mode=MemoryMode.CAUTIOUS)
    assert passages.queries[0][1] == 1


def test_search_by_words_is_mentioned(passages: Passages) -> None:
    """Unless nothing was found, or there is something more important to say."""
    pipeline = serve(passages)
    assert pipeline.answer("days of paid leave", top_k=2, mode=MemoryMode.DEGRADED).notice == WORDS_ONLY
    assert pipeline.answer("paid leave cups", top_k=2, mode=MemoryMode.DEGRADED).notice == WORDS_ONLY
    assert pipeline.answer(FAR, top_k=2, mode=MemoryMode.DEGRADED).notice is None
    assert pipeline.answer("days", top_k=2, mode=MemoryMode.DEGRADED).notice == WORDS_ONLY


def test_search_that_fell_back_to_words_is_mentioned(passages: Passages) -> None:
    """The person learns that it is not memory that is short; an answer without passages says nothing of it."""

    class WithoutVectors(Passages):
        def find_passages(self, query: str, *, limit: int, filters: Filters, kind: RetrievalKind) -> Retrieval:
            assert kind == "hybrid"
            return super().find_passages(query, limit=limit, filters=filters, kind="lexical")

    pipeline = serve(WithoutVectors(*passages.chunks.values()))
    assert pipeline.answer("days of paid leave", top_k=2, mode=MemoryMode.NORMAL).notice == NO_VECTORS
    assert pipeline.answer(FAR, top_k=2, mode=MemoryMode.NORMAL).notice is None


def test_filters_reach_every_search(passages: Passages) -> None:
    """The one in context too."""
    filters = Filters(("travel.md",))
    answer = serve(passages, LLM(["It is [1]."])).answer(
        "paid?", history=HISTORY, top_k=2, filters=filters, mode=NORMAL
    )
    assert [hit.chunk.document for hit in answer.retrieval.hits] == ["travel.md"]


@pytest.mark.parametrize("with_llm", [False, True])
def test_small_talk_searches_nothing_and_asks_nobody(passages: Passages, with_llm: bool) -> None:
    """A friendly line needs neither; it names the titles."""
    llm = LLM()
    answer = ask(passages, llm if with_llm else None, "Hello!")
    assert (answer.answered_by, answer.grounded, answer.model, passages.queries) == ("none", False, None, [])
    assert "“Leave” and “Travel”" in answer.text
    assert (answer.retrieval.hits, answer.retrieval.kind, llm.calls) == ((), "hybrid", [])


def test_times_are_those_of_the_clock(passages: Passages) -> None:
    """A clock that goes on by a second each time it is looked at: written for 1 s, 2 s in all."""
    seconds = iter(range(5, 100))
    pipeline = RAGPipeline(passages, None, FLOORS, clock=lambda: float(next(seconds)))
    answer = pipeline.answer(QUESTION, top_k=2, mode=NORMAL)
    assert (answer.generate_ms, answer.total_ms) == (1000.0, 2000.0)


# A conversation


class Found:
    """A search whose results are told by the question: how near, and which chunks."""

    def __init__(self, **results: "tuple[float | None, Sequence[Chunk]]") -> None:
        self.results = results
        self.queries: list[str] = []

    def find_passages(self, query: str, *, limit: int, filters: Filters, kind: RetrievalKind) -> Retrieval:
        self.queries.append(query)
        nearest, chunks = self.results["in_context" if " " in query else "alone"]
        hits = tuple(Hit(chunk, 5.0 - rank) for rank, chunk in enumerate(chunks))
        return Retrieval(hits[:limit], kind, len(chunks), 2.0, 3.0, nearest)

    def list_titles(self, limit: int) -> tuple[list[str], int]:
        return [], 0


def first_document(found: Found, llm: LLM | None = None) -> str:
    """Ask "contractors?" after one question."""
    answer = serve(found, llm).answer("contractors?", history=[Turn("user", "leave")], top_k=2, mode=NORMAL)  # type: ignore[arg-type]
    return answer.retrieval.hits[0].chunk.document


# One meaningful word, and alone a passage at 0.5: the context is taken from .37 + .1 + .6 x .5 = .77 on.
@pytest.mark.parametrize(("nearest", "document"), [(0.78, "leave.md"), (0.76, "travel.md"), (None, "travel.md")])
def test_context_is_taken_where_it_brings_a_passage_clearly_nearer(nearest: float | None, document: str) -> None:
    """No list of words decides what is a follow-up: what both searches bring is compared."""
    found = Found(alone=(0.5, [TAXI]), in_context=(nearest, [LEAVE]))
    assert first_document(found) == document
    assert found.queries == ["contractors?", "leave contractors?"]


def test_context_that_finds_nothing_is_not_taken() -> None:
    """However near it would be."""
    found = Found(alone=(0.5, [TAXI]), in_context=(1.9, []))
    assert first_document(found) == "travel.md"


def test_context_is_not_searched_where_it_cannot_come_nearer() -> None:
    """A question that needs more than any search has brought costs one search only; with an LLM both are made."""
    alone = (MOST_NEAR - 0.37 - 0.1) / 0.6
    nearly = Found(alone=(alone - 0.01, [TAXI]), in_context=(1.0, [LEAVE]))
    first_document(nearly)
    assert len(nearly.queries) == 2
    enough = Found(alone=(alone + 0.01, [TAXI]), in_context=(1.0, [LEAVE]))
    first_document(enough)
    assert len(enough.queries) == 1
    first_document(enough, LLM(["Ten [1]."]))
    assert len(enough.queries) == 3


def test_by_words_alone_the_context_counts_where_the_question_finds_nothing() -> None:
    """Without cosines nothing can be compared."""
    assert first_document(Found(alone=(None, []), in_context=(None, [LEAVE]))) == "leave.md"
    assert first_document(Found(alone=(None, [TAXI]), in_context=(None, [LEAVE]))) == "travel.md"


def test_complete_question_is_answered_the_same_whatever_was_said() -> None:
    """What was asked before does not touch a question that finds its passage alone."""
    passages = Passages(LEAVE, TAXI, make_chunk("Cats eat fish.", document="cats.md"))
    alone = ask(passages)
    for earlier in ("Where do cats sleep?", "When does the shop open?"):
        after = ask(passages, history=[Turn("user", earlier), Turn("assistant", "Yes.")])
        assert (after.text, after.citations) == (alone.text, alone.citations)


def test_follow_up_is_answered_from_what_was_said() -> None:
    """ "And contractors?" alone is about anything with contractors."""
    about = make_chunk("Contractors have unpaid leave only, no days of paid leave.", document="contractors.md")
    other = make_chunk(
        "Contractors wear a yellow badge and park behind the hall on the left side.", document="badge.md"
    )
    passages = Passages(LEAVE, TAXI, other, about)
    answer = ask(passages, question="and contractors?", history=HISTORY)
    assert answer.citations[0].document == "contractors.md"


def test_passages_of_both_searches_go_to_the_llm() -> None:
    """By turns, the likelier search first, none twice or overlapping, as many as asked for; the times add up."""
    part = make_chunk("27 days", start=20)  # inside LEAVE, which is at 10 to 58 of the same document
    beside = make_chunk("More.", start=58, number=1)
    other = make_chunk("Cats.", document="cats.md")
    found = Found(alone=(0.5, [TAXI, part, other, other]), in_context=(0.7, [LEAVE, TAXI, beside]))
    answer = serve(found, LLM(["Ten [1]."])).answer(  # type: ignore[arg-type]
        "contractors?", history=[Turn("user", "leave")], top_k=4, mode=NORMAL
    )
    assert [hit.chunk.text for hit in answer.retrieval.hits] == [TAXI.text, LEAVE.text, other.text, beside.text]
    assert (answer.retrieval.embed_ms, answer.retrieval.retrieve_ms, answer.retrieval.total) == (4.0, 6.0, 4)
    near = Found(alone=(0.5, [TAXI]), in_context=(0.8, [LEAVE]))
    assert first_document(near, LLM(["Ten [1]."])) == "leave.md"


# With an LLM


def test_llm_writes_the_answer(passages: Passages) -> None:
    """Its pieces are shown as they come; invented markers are in none of them."""
    llm = LLM(["You have 27 days", " of leave [1][9]."])
    events = list(serve(passages, llm).stream(QUESTION, top_k=2, mode=NORMAL))
    assert [event.text for event in events if isinstance(event, Token)] == ["You have 27 days", " of leave [1]."]
    answer = whole(events)
    assert (answer.text, answer.answered_by, answer.model) == ("You have 27 days of leave [1].", "llm", "tiny")
    assert (answer.grounded, answer.notice) == (True, None)
    assert (answer.citations[0].excerpt, answer.citations[0].start) == ("Staff have 27 days of paid leave.", 10)
    assert (llm.closed, llm.max_tokens) == (1, [MAX_ANSWER_TOKENS])


def test_answer_without_markers_is_not_grounded(passages: Passages) -> None:
    """It is shown, but rests on no passage."""
    answer = ask(passages, LLM(["You have 27 days."]))
    assert (answer.answered_by, answer.grounded, answer.citations) == ("llm", False, ())


def test_llm_is_asked_once_also_in_a_conversation(passages: Passages) -> None:
    """It gets rules, conversation, passages and question in one call; nothing is rewritten before."""
    llm = LLM(["None [1]."])
    ask(passages, llm, "and contractors?", HISTORY)
    (messages,) = llm.calls
    assert [message.role for message in messages] == ["system", "user", "assistant", "user"]
    assert [message.content for message in messages[1:3]] == [QUESTION, "27 days."]
    assert "27 days of paid leave" in messages[3].content
    assert "<question>\nand contractors?\n</question>" in messages[3].content


def test_nothing_is_refused_before_the_llm_is_asked(passages: Passages) -> None:
    """The floors are for quotations; the LLM decides whether the passages answer."""
    generator = Generator(LLM(["You have 27 days [1]."]), ["tiny"], 10.0)
    answer = RAGPipeline(passages, generator, Floors(8.0, 9.0)).answer(QUESTION, top_k=2, mode=NORMAL)
    assert (answer.answered_by, answer.notice) == ("llm", None)


def test_llm_is_not_asked_where_nothing_was_found(passages: Passages) -> None:
    """There is nothing to write from."""
    llm = LLM()
    assert (ask(passages, llm, FAR).text, llm.calls) == (REFUSAL, [])


@pytest.mark.parametrize("pieces", [["NOT ANSWERED"], ["NOT ", "ANSWERED", ". Sorry [1]."]])
def test_llm_that_finds_no_answer_refuses(passages: Passages, pieces: list[str]) -> None:
    """Its agreed words become our refusal, which names the nearest passages; they never show."""
    answer = ask(passages, LLM(pieces))
    assert answer.text == f"{REFUSAL}\n\nThe nearest passages:\n- Leave\n- Travel: Taxis"
    assert (answer.answered_by, answer.grounded, answer.citations, answer.notice) == ("none", False, (), None)


def test_sentence_without_support_is_marked(passages: Passages) -> None:
    """What no passage says stands in the answer as such, and the person is told."""
    answer = ask(
        passages, LLM(["Staff have 27 days of paid leave [1]. Elephants usually celebrate Hogmanay loudly [1]."])
    )
    assert answer.text.startswith("Staff have 27 days of paid leave [1]. Elephants")
    assert answer.text.endswith("(not found in the documents)")
    assert answer.notice == PARTLY_UNSUPPORTED


@pytest.mark.parametrize(
    "pieces", [[BREAKS_OFF], ["  ", "\n"], ["You", BREAKS_OFF][1:], ["[9]"], ["x" * 13_000], ["NOT ANSW", BREAKS_OFF]]
)
def test_llm_that_fails_before_it_shows_anything_leaves_a_quotation(
    passages: Passages, pieces: "list[str | CallFailed]"
) -> None:
    """Whatever fails, the person gets the passage and a word about it."""
    answer = ask(passages, LLM(pieces))
    assert (answer.answered_by, answer.model, answer.notice) == ("extractive", None, LLM_FAILED)
    assert answer.text == "Staff have 27 days of paid leave. Ask in Roster. [1]"


def test_quotation_after_a_failure_may_be_uncertain_or_a_refusal(passages: Passages) -> None:
    """The floors are asked again then; that the passage may not answer is what matters more."""
    for floors, by, notice in ((Floors(0.8, 9.0), "extractive", UNCERTAIN), (Floors(8.0, 9.0), "none", LLM_FAILED)):
        pipeline = RAGPipeline(passages, Generator(LLM([BREAKS_OFF]), ["tiny"], 10.0), floors)
        answer = pipeline.answer(QUESTION, top_k=2, mode=NORMAL)
        assert (answer.answered_by, answer.model, answer.notice) == (by, None, notice)


def test_llm_that_breaks_off_is_followed_by_a_quotation(passages: Passages) -> None:
    """What was shown stays, with its citations; the passage follows under a line that says so."""
    answer = ask(passages, LLM(["Taxis are paid after 21:00 [2]. ", "And ", BREAKS_OFF]))
    written, said, quoted = answer.text.split("\n\n")
    assert written == "Taxis are paid after 21:00 [2]. And"
    assert (said, quoted) == (
        f"*{LLM_BROKE_OFF} {QUOTED_BELOW}*",
        "Staff have 27 days of paid leave. Ask in Roster. [1]",
    )
    assert (answer.answered_by, answer.model, answer.notice, answer.grounded) == ("llm", "tiny", LLM_BROKE_OFF, True)
    assert sorted(citation.marker for citation in answer.citations) == [1, 2]


def test_break_off_inside_code_closes_it(passages: Passages) -> None:
    """What follows is no code."""
    answer = ask(passages, LLM(["So:\n```\nx = 1\n", "y", BREAKS_OFF]))
    assert answer.text.startswith(f"So:\n```\nx = 1\ny\n```\n\n*{LLM_BROKE_OFF} ")


def test_break_off_after_code_sets_no_other_fence(passages: Passages) -> None:
    """The block was closed by the LLM."""
    answer = ask(passages, LLM(["So:\n```\nx = 1\n```\nDone", " now", BREAKS_OFF]))
    assert answer.text.startswith(f"So:\n```\nx = 1\n```\nDone now\n\n*{LLM_BROKE_OFF} ")


def test_marker_of_text_and_quotation_has_one_citation(passages: Passages) -> None:
    """That of the quotation, which holds more."""
    answer = ask(passages, LLM(["Ask in Roster [1]. ", "And", " x", BREAKS_OFF]))
    (citation,) = answer.citations
    assert citation.excerpt == LEAVE.text


def test_break_off_without_a_near_passage_is_only_said(passages: Passages) -> None:
    """Nothing is quoted under the floor; the text that was shown stays an answer."""
    pipeline = RAGPipeline(passages, Generator(LLM(["You have ", "27", BREAKS_OFF]), ["tiny"], 10.0), Floors(8.0, 9.0))
    answer = pipeline.answer(QUESTION, top_k=2, mode=NORMAL)
    assert answer.text == f"You have 27\n\n*{LLM_BROKE_OFF}*"
    assert (answer.answered_by, answer.model) == ("llm", "tiny")


def test_question_is_in_no_log(passages: Passages, caplog: pytest.LogCaptureFixture) -> None:
    """A failure is logged without what the person asked."""
    caplog.set_level(logging.DEBUG)
    ask(passages, LLM([BREAKS_OFF]))
    assert "Quoting the documents" in caplog.text
    assert "paid leave" not in caplog.text


# With the real client


@pytest.fixture
def ask_server(passages: Passages) -> Iterator[Callable[..., tuple[RAGPipeline, LLMServer]]]:
    with ExitStack() as stack:

        def make(*script: Reply) -> tuple[RAGPipeline, LLMServer]:
            server = stack.enter_context(serve_llm(*script))
            client = OpenAIClient(server.url, "sk-test")
            stack.callback(client.close)
            generator = Generator(client, ["tiny"], 10.0, CircuitBreaker(), sleep=lambda _: None)
            return RAGPipeline(passages, generator, FLOORS), server

        yield make


AskServer = Callable[..., tuple[RAGPipeline, LLMServer]]


@pytest.mark.parametrize(
    ("reply", "by", "notice"),
    [
        (streamed("You have 27 days [1]."), "llm", None),
        (failed(500), "extractive", LLM_FAILED),
        (failed(402), "extractive", LLM_FAILED),
        (streamed(), "extractive", LLM_FAILED),
        (Reply(headers=SSE, body=[event("You ")], breaks_off=True), "llm", LLM_BROKE_OFF),
    ],
    ids=["answers", "500", "402", "empty", "breaks off"],
)
def test_real_server_answers_or_leaves_a_quotation(ask_server: AskServer, reply: Reply, by: str, notice: str) -> None:
    """The same rules hold over HTTP."""
    answer = ask_server(reply)[0].answer(QUESTION, top_k=2, mode=NORMAL)
    assert (answer.answered_by, answer.notice) == (by, notice)
    assert "27 days" in answer.text


def test_closing_the_stream_ends_the_upstream_request(ask_server: AskServer) -> None:
    """When the client goes away, the LLM stops."""
    pipeline, server = ask_server(Reply(headers=SSE, body=[event("You "), HANG_UP]))
    events = pipeline.stream(QUESTION, top_k=2, mode=NORMAL)
    assert [type(next(events)), type(next(events))] == [Sources, Token]
    events.close()
    assert server.hung_up.wait(10)
