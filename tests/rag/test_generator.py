"""Retries, fallback models and the circuit, against a real server; pauses go to a clock of the test."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from src.config import Config
from src.errors import GenerationError
from src.rag.circuit_breaker import CircuitBreaker
from src.rag.generator import OpenAIChatGenerator
from src.rag.llm_client import LLMClient
from src.rag.prompt import Message
from src.rag.reader import ReaderLeft
from tests.llm_server import HANG_UP, SSE, LLMServer, Reply, event, failed, serve_llm, streamed

MESSAGES = [Message("user", "How many days?")]


@dataclass
class Time:
    """A clock that only the pauses move."""

    now_s: float = 0.0
    pauses_s: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.pauses_s.append(seconds)
        self.now_s += seconds


Make = Callable[..., OpenAIChatGenerator]


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def make(time: Time) -> Iterator[Make]:
    clients: list[LLMClient] = []

    def make_generator(server: LLMServer, *models: str, timeout_s: float = 30.0) -> OpenAIChatGenerator:
        clients.append(LLMClient(server.url, "sk-test"))
        breaker = CircuitBreaker(failures_to_open=2, open_s=30, clock=time.clock)
        return OpenAIChatGenerator(
            clients[-1], models or ("tiny",), timeout_s, breaker, sleep=time.sleep, clock=time.clock, jitter=lambda: 0.5
        )

    yield make_generator
    for client in clients:
        client.close()


def models_asked(server: LLMServer) -> list[str]:
    return [request.body["model"] for request in server.requests]


def test_answer_comes_at_the_first_try(make: Make, time: Time) -> None:
    """A healthy server is asked once and without a pause."""
    with serve_llm(streamed("Ten ", "days")) as server:
        completion = make(server).start(MESSAGES, max_tokens=50)
        assert (completion.model, list(completion)) == ("tiny", ["Ten ", "days"])
    assert (len(server.requests), time.pauses_s) == (1, [])


def test_passing_failure_is_tried_again_twice(make: Make, time: Time) -> None:
    """Two retries, the second after twice the pause of the first: 0.5 s and 1 s where the jitter is in the middle."""
    with serve_llm(failed(503), failed(500), streamed("Ten")) as server:
        assert list(make(server).start(MESSAGES, max_tokens=50)) == ["Ten"]
    assert time.pauses_s == [0.5, 1.0]


def test_third_failure_ends_it(make: Make) -> None:
    """At most two retries."""
    with serve_llm(failed(503)) as server, pytest.raises(GenerationError, match="503"):
        make(server).start(MESSAGES, max_tokens=50)
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 402])
def test_lasting_failure_is_not_tried_again(make: Make, status: int) -> None:
    """What will not pass is not asked twice."""
    with serve_llm(failed(status)) as server, pytest.raises(GenerationError, match=str(status)):
        make(server).start(MESSAGES, max_tokens=50)
    assert len(server.requests) == 1


def test_retry_after_is_obeyed(make: Make, time: Time) -> None:
    """The server's own number is the pause."""
    with serve_llm(failed(429, Retry_After="7"), streamed("Ten")) as server:
        assert list(make(server).start(MESSAGES, max_tokens=50)) == ["Ten"]
    assert time.pauses_s == [7.0]


def test_retry_after_beyond_the_time_ends_it(make: Make, time: Time) -> None:
    """Nobody waits longer than LLM_TIMEOUT_S."""
    with serve_llm(failed(429, Retry_After="60")) as server, pytest.raises(GenerationError, match="429"):
        make(server, timeout_s=30).start(MESSAGES, max_tokens=50)
    assert (len(server.requests), time.pauses_s) == (1, [])


@pytest.mark.parametrize("status", [402, 404, 429, 500])
def test_fallback_model_is_asked_before_any_pause(make: Make, time: Time, status: int) -> None:
    """Another model answers sooner than the first one after a wait."""
    with serve_llm(failed(status), streamed("Ten")) as server:
        completion = make(server, "large", "small").start(MESSAGES, max_tokens=50)
        assert (completion.model, list(completion)) == ("small", ["Ten"])
    assert (models_asked(server), time.pauses_s) == (["large", "small"], [])


def test_wrong_key_asks_no_other_model(make: Make) -> None:
    """All models of a server share the key."""
    with serve_llm(failed(401)) as server, pytest.raises(GenerationError):
        make(server, "large", "small").start(MESSAGES, max_tokens=50)
    assert models_asked(server) == ["large"]


def test_empty_answer_counts_as_a_failure(make: Make) -> None:
    """A stream without a word is tried again."""
    with serve_llm(streamed(), streamed("Ten")) as server:
        assert list(make(server).start(MESSAGES, max_tokens=50)) == ["Ten"]


def test_stream_that_breaks_off_is_an_error_of_ours(make: Make) -> None:
    """Pieces that came cannot be taken back, so nothing is tried again."""
    with serve_llm(Reply(headers=SSE, body=[event("Ten ")], breaks_off=True)) as server:
        pieces = iter(make(server).start(MESSAGES, max_tokens=50))
        assert next(pieces) == "Ten "
        with pytest.raises(GenerationError, match="broke off"):
            next(pieces)
    assert len(server.requests) == 1


def test_open_circuit_asks_nobody_and_tries_again_later(make: Make, time: Time) -> None:
    """After two failed answers in a row the server rests for 30 s."""
    with serve_llm(failed(401), failed(401), streamed("Ten")) as server:
        generator = make(server)
        for _ in range(2):
            with pytest.raises(GenerationError, match="401"):
                generator.start(MESSAGES, max_tokens=50)
        with pytest.raises(GenerationError, match="keeps failing"):
            generator.start(MESSAGES, max_tokens=50)
        assert len(server.requests) == 2
        time.now_s += 30
        assert list(generator.start(MESSAGES, max_tokens=50)) == ["Ten"]


class LeavingReader:
    """A reader who leaves when the test says so."""

    def __init__(self) -> None:
        self.has_left = False
        self.ends: list[Callable[[], object]] = []

    @contextmanager
    def on_leaving(self, end: Callable[[], object]) -> Iterator[None]:
        self.ends.append(end)
        yield

    def leave(self) -> None:
        self.has_left = True
        for end in self.ends:
            end()


def test_reader_who_leaves_ends_the_call_and_is_no_failure_of_the_llm(make: Make, time: Time) -> None:
    """Two failures would open this circuit; two readers who leave do not, and nothing is tried again for them."""
    silent = Reply(headers=SSE, body=[event("Five "), HANG_UP])
    with serve_llm(silent, silent, streamed("Five days.")) as server:
        generator = make(server, "tiny", "other")
        for _ in range(2):
            reader = LeavingReader()
            pieces = iter(generator.start(MESSAGES, max_tokens=9, reader=reader))
            assert next(pieces) == "Five "
            reader.leave()
            with pytest.raises(ReaderLeft):
                next(pieces)
        assert "".join(generator.start(MESSAGES, max_tokens=9)) == "Five days."
        assert (models_asked(server), time.pauses_s) == (["tiny"] * 3, [])


def test_configuration_names_models_in_order() -> None:
    """LLM_MODEL first, then LLM_FALLBACK_MODELS."""
    with serve_llm(failed(402), failed(402), streamed("Ten")) as server:
        config = Config.from_env(
            {**dict.fromkeys(os.environ, ""), "LLM_API_KEY": "sk-test", "LLM_BASE_URL": server.url, "LLM_MODEL": "a",
             "LLM_FALLBACK_MODELS": "b, c"}
        )  # fmt: skip
        assert list(OpenAIChatGenerator.from_config(config).start(MESSAGES, max_tokens=50)) == ["Ten"]
    assert models_asked(server) == ["a", "b", "c"]
