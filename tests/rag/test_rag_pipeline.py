"""The whole way from a question to an answer, with a real HTTP server where an LLM is asked."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from src.rag.circuit_breaker import CircuitBreaker
from src.rag.generator import OpenAIChatGenerator
from src.rag.llm_client import LLMClient
from src.rag.rag_pipeline import LLM_FAILED, PARTLY_UNSUPPORTED, REFUSAL, RAGPipeline
from src.records import Done, MemoryMode, Sources, Token, Turn
from tests.fakes import Passages, make_chunk
from tests.llm_server import HANG_UP, SSE, LLMServer, Reply, event, failed, serve_llm, streamed

LEAVE = make_chunk("Staff have 27 days of paid leave.", "Ask in Roster.", start=10)
TAXI = make_chunk("Taxis are paid after 21:00.", document="travel.md", title="Travel")
QUESTION = "How many days of paid leave?"
NORMAL = MemoryMode.NORMAL


@pytest.fixture
def passages() -> Passages:
    return Passages(LEAVE, TAXI)


@pytest.fixture
def ask_llm(passages: Passages) -> Iterator[Callable[..., tuple[RAGPipeline, LLMServer]]]:
    with ExitStack() as stack:

        def make(*script: Reply) -> tuple[RAGPipeline, LLMServer]:
            server = stack.enter_context(serve_llm(*script))
            client = LLMClient(server.url, "sk-test")
            stack.callback(client.close)
            generator = OpenAIChatGenerator(client, ["tiny"], 10.0, CircuitBreaker(), sleep=lambda _: None)
            return RAGPipeline(passages, generator, 0.5), server

        yield make


AskLLM = Callable[..., tuple[RAGPipeline, LLMServer]]


def test_without_a_key_the_answer_is_extractive(passages: Passages) -> None:
    """The sentence that answers, cited, and nothing to notice."""
    answer = RAGPipeline(passages, None, 0.5).answer(QUESTION, top_k=2, mode=NORMAL)
    assert "27 days" in answer.text
    assert (answer.answered_by, answer.grounded, answer.model, answer.notice) == ("extractive", True, None, None)
    assert [c.document for c in answer.citations] == ["leave.md"]


def test_stream_begins_with_sources_and_ends_with_the_answer(passages: Passages) -> None:
    """An extractive answer streams too."""
    events = list(RAGPipeline(passages, None, 0.5).stream(QUESTION, top_k=2, mode=NORMAL))
    assert [type(event) for event in events] == [Sources, Token, Done]


def test_llm_writes_the_answer(ask_llm: AskLLM) -> None:
    """Its pieces are tokens; invented markers are gone from the whole."""
    pipeline, _ = ask_llm(streamed("You have 27 days", " of leave [1][9]."))
    events = list(pipeline.stream(QUESTION, top_k=2, mode=NORMAL))
    assert [event.text for event in events if isinstance(event, Token)] == ["You have 27 days", " of leave [1][9]."]
    answer = events[-1].answer  # type: ignore[union-attr]
    assert (answer.text, answer.answered_by, answer.model) == ("You have 27 days of leave [1].", "llm", "tiny")
    assert answer.citations[0].excerpt == "Staff have 27 days of paid leave."
    assert answer.citations[0].start == 10


def test_sentence_without_support_is_marked(ask_llm: AskLLM) -> None:
    """What no passage says stands in the answer as such, and the person is told."""
    pipeline, _ = ask_llm(
        streamed("Staff have 27 days of paid leave [1]. Elephants usually celebrate Hogmanay loudly [1].")
    )
    answer = pipeline.answer(QUESTION, top_k=2, mode=NORMAL)
    assert answer.text.startswith("Staff have 27 days of paid leave [1]. Elephants")
    assert answer.text.endswith("(not found in the documents)")
    assert answer.notice == PARTLY_UNSUPPORTED


@pytest.mark.parametrize(
    "reply",
    [failed(500), failed(402), streamed(), Reply(headers=SSE, body=[event("You ")], breaks_off=True)],
    ids=["500", "402", "empty", "breaks off"],
)
def test_failing_llm_leaves_an_extractive_answer(ask_llm: AskLLM, reply: Reply) -> None:
    """Whatever fails, the person gets the sentences and a word about it."""
    pipeline, _ = ask_llm(reply)
    answer = pipeline.answer(QUESTION, top_k=2, mode=NORMAL)
    assert (answer.answered_by, answer.model, answer.notice) == ("extractive", None, LLM_FAILED)
    assert "27 days" in answer.text


def test_question_out_of_the_documents_is_refused_without_the_llm(ask_llm: AskLLM) -> None:
    """Below the floor nobody is asked; what was found is still listed."""
    pipeline, server = ask_llm(streamed("Spain"))
    answer = pipeline.answer("Who won the football cup?", top_k=2, mode=NORMAL)
    assert (answer.text, answer.answered_by, answer.grounded, answer.citations) == (REFUSAL, "none", False, ())
    assert len(answer.retrieval.hits) == 2
    assert server.requests == []


def test_llm_that_finds_no_answer_refuses(ask_llm: AskLLM) -> None:
    """Its agreed words become our refusal."""
    pipeline, _ = ask_llm(streamed("NOT ANSWERED"))
    answer = pipeline.answer(QUESTION, top_k=2, mode=NORMAL)
    assert (answer.text, answer.answered_by, answer.grounded) == (REFUSAL, "none", False)


def test_greeting_searches_nothing(passages: Passages) -> None:
    """A friendly line needs no documents."""
    answer = RAGPipeline(passages, None, 0.5).answer("Hello!", top_k=2, mode=NORMAL)
    assert (answer.answered_by, answer.grounded, passages.queries) == ("none", False, [])


@pytest.mark.parametrize(
    ("mode", "limit", "kind"),
    [(MemoryMode.NORMAL, 6, "hybrid"), (MemoryMode.CAUTIOUS, 3, "hybrid"), (MemoryMode.DEGRADED, 6, "lexical")],
)
def test_mode_decides_what_is_searched(passages: Passages, mode: MemoryMode, limit: int, kind: str) -> None:
    """CAUTIOUS takes half the passages, DEGRADED neither embeds nor asks Chroma."""
    answer = RAGPipeline(passages, None, 0.5).answer(QUESTION, top_k=6, mode=mode)
    assert passages.queries == [(QUESTION, limit, kind)]
    assert answer.mode is mode
    assert "27 days" in answer.text


def test_cautious_with_one_passage_still_takes_one(passages: Passages) -> None:
    """Half of one is one."""
    RAGPipeline(passages, None, 0.5).answer(QUESTION, top_k=1, mode=MemoryMode.CAUTIOUS)
    assert passages.queries[0][1] == 1


def test_follow_up_is_searched_in_its_context(passages: Passages) -> None:
    """Without a key the user's earlier question is added."""
    RAGPipeline(passages, None, 0.5).answer(
        "and for contractors?", history=[Turn("user", QUESTION)], top_k=2, mode=NORMAL
    )
    assert passages.queries[0][0] == f"{QUESTION} and for contractors?"


def test_follow_up_is_rewritten_by_the_llm(ask_llm: AskLLM, passages: Passages) -> None:
    """One short call, only where there is a history."""
    pipeline, server = ask_llm(streamed("How many days of paid leave do contractors have?"), streamed("None [1]."))
    pipeline.answer("and for contractors?", history=[Turn("user", QUESTION)], top_k=2, mode=NORMAL)
    assert passages.queries[0][0] == "How many days of paid leave do contractors have?"
    assert len(server.requests) == 2


def test_failed_rewrite_falls_back_to_the_earlier_question(ask_llm: AskLLM, passages: Passages) -> None:
    """The search does without the LLM."""
    pipeline, _ = ask_llm(failed(401))
    pipeline.answer("and for contractors?", history=[Turn("user", QUESTION)], top_k=2, mode=NORMAL)
    assert passages.queries[0][0] == f"{QUESTION} and for contractors?"


def test_closing_the_stream_ends_the_upstream_request(ask_llm: AskLLM) -> None:
    """When the client goes away, the LLM stops."""
    pipeline, server = ask_llm(Reply(headers=SSE, body=[event("You "), HANG_UP]))
    events = pipeline.stream(QUESTION, top_k=2, mode=NORMAL)
    assert [type(next(events)), type(next(events))] == [Sources, Token]
    events.close()
    assert server.hung_up.wait(10)
