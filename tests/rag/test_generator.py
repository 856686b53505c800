"""Retries, fallback models and the circuit; pauses go to a clock of the test.

A client of one method is enough for the rules; the real one and a real HTTP server show that they work together.
"""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Generator as Pieces
from dataclasses import dataclass, field

import pytest

from src.errors import GenerationError
from src.rag.chat_client import CallFailed, ChatMessage
from src.rag.circuit_breaker import CircuitBreaker
from src.rag.generator import Generator
from src.rag.openai_client import OpenAIClient
from tests.llm_server import SSE, LLMServer, Reply, event, failed, serve_llm, streamed

MESSAGES = [ChatMessage("user", "How many days?")]


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


Make = Callable[..., Generator]


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def make(time: Time) -> Iterator[Make]:
    clients: list[OpenAIClient] = []

    def make_generator(server: LLMServer, *models: str, timeout_s: float = 30.0) -> Generator:
        clients.append(OpenAIClient(server.url, "sk-test"))
        breaker = CircuitBreaker(failures_to_open=2, open_s=30, clock=time.clock)
        return Generator(
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


def test_passing_failure_is_tried_again_twice(make: Make, time: Time, caplog: pytest.LogCaptureFixture) -> None:
    """Two retries, the second after twice the pause of the first: 0.5 s and 1 s where the jitter is in the middle."""
    with serve_llm(failed(503), failed(500), streamed("Ten")) as server:
        assert list(make(server).start(MESSAGES, max_tokens=50)) == ["Ten"]
    assert time.pauses_s == [0.5, 1.0]
    assert [message.partition(" try=")[2][:1] for message in caplog.messages] == ["1", "2"]


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


@pytest.mark.parametrize("status", [400, 403, 413, 422])
def test_question_that_is_refused_does_not_open_the_circuit(make: Make, status: int) -> None:
    """A stranger who asks such ones again and again takes the LLM from nobody."""
    with serve_llm(*[failed(status)] * 5, streamed("Ten")) as server:
        generator = make(server)
        for _ in range(5):
            with pytest.raises(GenerationError, match=str(status)):
                generator.start(MESSAGES, max_tokens=50)
        assert list(generator.start(MESSAGES, max_tokens=50)) == ["Ten"]


PASSING = CallFailed("busy", may_pass=True)
LASTING = CallFailed("no such model", may_pass=False)
HOPELESS = CallFailed("wrong key", may_pass=False, every_model=True)


def asks_to_wait(seconds: float) -> CallFailed:
    return CallFailed("busy", may_pass=True, retry_after_s=seconds)


class Scripted:
    """A client whose answers are scripted: errors are raised, also in the middle of the pieces."""

    def __init__(self, *script: "CallFailed | Sequence[str | CallFailed]") -> None:
        self.script = list(script)
        self.models: list[str] = []
        self.timeouts_s: list[float] = []
        self.max_tokens: list[int] = []
        self.closed = 0

    def stream(self, model: str, messages: Sequence[ChatMessage], *, max_tokens: int, timeout_s: float) -> Pieces[str]:
        self.models.append(model)
        self.timeouts_s.append(timeout_s)
        self.max_tokens.append(max_tokens)
        step = self.script.pop(0)
        try:
            for piece in [step] if isinstance(step, CallFailed) else step:
                if isinstance(piece, CallFailed):
                    raise piece
                yield piece
        finally:
            self.closed += 1


def generate(time: Time, client: Scripted, *models: str, timeout_s: float = 30.0, jitter: float = 0.5) -> Generator:
    breaker = CircuitBreaker(failures_to_open=2, open_s=30, clock=time.clock)
    return Generator(
        client, models or ("tiny",), timeout_s, breaker, sleep=time.sleep, clock=time.clock, jitter=lambda: jitter
    )


def test_pieces_pass_as_they_come(time: Time) -> None:
    """The first piece is handed on with the others, and the client gets what it needs."""
    client = Scripted(["Ten ", "days"])
    completion = generate(time, client).start(MESSAGES, max_tokens=50)
    assert (completion.model, list(completion)) == ("tiny", ["Ten ", "days"])
    assert (client.timeouts_s, client.max_tokens) == ([30.0], [50])


def test_closing_ends_the_call(time: Time) -> None:
    """When nobody reads any more, the provider's stream is closed."""
    client = Scripted(["Ten ", "days"])
    completion = generate(time, client).start(MESSAGES, max_tokens=50)
    assert client.closed == 0
    completion.close()
    assert client.closed == 1


@pytest.mark.parametrize(("jitter", "pauses_s"), [(0.0, [0.25, 0.5]), (1.0, [0.75, 1.5])])
def test_jitter_spreads_the_pauses(time: Time, jitter: float, pauses_s: list[float]) -> None:
    """From half to one and a half of 0.5 s, then of 1 s."""
    generator = generate(time, Scripted(PASSING, PASSING, ["Ten"]), jitter=jitter)
    assert list(generator.start(MESSAGES, max_tokens=50)) == ["Ten"]
    assert time.pauses_s == pauses_s


def test_last_try_is_not_followed_by_a_pause(time: Time) -> None:
    """The third failure is the end."""
    with pytest.raises(GenerationError, match="busy"):
        generate(time, Scripted(PASSING, PASSING, PASSING)).start(MESSAGES, max_tokens=50)
    assert time.pauses_s == [0.5, 1.0]


def test_shortest_wait_that_a_model_asks_for_is_enough(time: Time) -> None:
    """One of them can be asked then; one that will not pass says nothing about the wait."""
    client = Scripted(asks_to_wait(9.0), LASTING, asks_to_wait(7.0), ["Ten"])
    assert list(generate(time, client, "a", "b", "c").start(MESSAGES, max_tokens=50)) == ["Ten"]
    assert (client.models, time.pauses_s) == (["a", "b", "c", "a"], [7.0])


def test_backoff_is_the_least_pause(time: Time) -> None:
    """A server that asks for no wait at all is not asked in a loop."""
    generator = generate(time, Scripted(asks_to_wait(0.1), ["Ten"]))
    assert list(generator.start(MESSAGES, max_tokens=50)) == ["Ten"]
    assert time.pauses_s == [0.5]


def test_model_that_may_pass_is_reason_enough_to_try_again(time: Time) -> None:
    """All are asked again, the first one first, with the time that is left."""
    client = Scripted(LASTING, PASSING, ["Ten"])
    completion = generate(time, client, "a", "b").start(MESSAGES, max_tokens=50)
    assert (completion.model, client.models, client.timeouts_s) == ("a", ["a", "b", "a"], [30.0, 30.0, 29.5])


def test_hopeless_failure_asks_no_other_model_but_may_pass(time: Time) -> None:
    """A server that cannot be reached is tried again after a pause, with the first model."""
    unreachable = CallFailed("unreachable", may_pass=True, every_model=True)
    client = Scripted(unreachable, ["Ten"])
    assert list(generate(time, client, "a", "b").start(MESSAGES, max_tokens=50)) == ["Ten"]
    assert client.models == ["a", "a"]


def test_message_names_the_first_models_failure(time: Time) -> None:
    """That is the one the person chose."""
    with pytest.raises(GenerationError, match=r"^No LLM answered: no such model\.$"):
        generate(time, Scripted(LASTING, HOPELESS), "a", "b").start(MESSAGES, max_tokens=50)


@pytest.mark.parametrize(("timeout_s", "calls"), [(0.5, 1), (0.51, 2)])
def test_pause_up_to_the_deadline_is_not_begun(time: Time, timeout_s: float, calls: int) -> None:
    """After a pause of 0.5 s no time would be left; a moment more is enough to ask."""
    client = Scripted(PASSING, ["Ten"])
    generator = generate(time, client, timeout_s=timeout_s)
    if calls == 1:
        with pytest.raises(GenerationError):
            generator.start(MESSAGES, max_tokens=50)
    else:
        assert list(generator.start(MESSAGES, max_tokens=50)) == ["Ten"]
    assert len(client.models) == calls


def test_fallback_is_not_asked_after_the_deadline(time: Time) -> None:
    """The first model took all the time; the failure that is named is its own."""

    class Slow(Scripted):
        def stream(self, *arguments: object, **options: object) -> Pieces[str]:
            time.now_s += 30.0
            return super().stream(*arguments, **options)  # type: ignore[arg-type]

    client = Slow(PASSING)
    with pytest.raises(GenerationError, match="busy"):
        generate(time, client, "a", "b").start(MESSAGES, max_tokens=50)
    assert client.models == ["a"]


@pytest.mark.parametrize("answer", [[], [""]])
def test_answer_without_a_word_is_a_failure(time: Time, answer: list[str]) -> None:
    """Whether nothing came or an empty piece."""
    assert list(generate(time, Scripted(answer, ["Ten"])).start(MESSAGES, max_tokens=50)) == ["Ten"]


def test_answers_that_break_off_open_the_circuit(time: Time) -> None:
    """A provider whose answers end in the middle fails as well: two of them and it rests for 30 s."""
    client = Scripted(["Ten ", PASSING], ["Ten ", PASSING], ["Ten"])
    generator = generate(time, client)
    for _ in range(2):
        with pytest.raises(GenerationError, match="broke off: busy"):
            list(generator.start(MESSAGES, max_tokens=50))
    with pytest.raises(GenerationError, match="keeps failing"):
        generator.start(MESSAGES, max_tokens=50)


def test_whole_answer_closes_the_circuit(time: Time) -> None:
    """Failures before and after it are not in a row."""
    generator = generate(time, Scripted(LASTING, ["Ten"], LASTING, ["Six"]))
    answers = []
    for _ in range(2):
        with pytest.raises(GenerationError, match="no such model"):
            generator.start(MESSAGES, max_tokens=50)
        answers += generator.start(MESSAGES, max_tokens=50)
    assert answers == ["Ten", "Six"]
