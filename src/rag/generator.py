"""Answers by an LLM behind any OpenAI-compatible API: retries, fallback models, a circuit breaker.

Whatever goes wrong ends as `GenerationError`; the pipeline then answers extractively.
"""

import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Protocol, Self

from src.config import Config
from src.errors import GenerationError
from src.rag.circuit_breaker import CircuitBreaker
from src.rag.llm_client import CallFailed, LLMClient
from src.rag.prompt import Message
from src.rag.reader import Reader

MAX_RETRIES = 2
BACKOFF_S = 0.5

logger = logging.getLogger(__name__)


class Completion:
    """An answer that has begun: iterate over its pieces; `close` ends the upstream request.

    Args:
        model: the one that writes it, which may be a fallback.
    """

    def __init__(self, model: str, pieces: Iterator[str], close: Callable[[], None]) -> None:
        self.model = model
        self._pieces = pieces
        self.close = close

    def __iter__(self) -> Iterator[str]:
        return self._pieces


class Generator(Protocol):
    """Whoever writes answers."""

    def start(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        timeout_s: float | None = None,
        reader: Reader | None = None,
    ) -> Completion:
        """Return when the first piece is there.

        Raises:
            GenerationError: here, or while the pieces are read.
        """
        ...


class OpenAIChatGenerator:
    """Asks the models in order until one begins to answer; then, after a pause, all of them again.

    Args:
        models: the preferred one first.
        timeout_s: for the whole answer, retries included.
        sleep, clock, jitter: of the pauses; `jitter` gives a number from 0 to 1.
    """

    def __init__(
        self,
        client: LLMClient,
        models: Sequence[str],
        timeout_s: float,
        breaker: CircuitBreaker,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._models = tuple(models)
        self._timeout_s = timeout_s
        self._breaker = breaker
        self._sleep, self._clock, self._jitter = sleep, clock, jitter

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """Make one from `LLM_BASE_URL`, `LLM_API_KEY`, `LLM_MODEL`, `LLM_FALLBACK_MODELS` and `LLM_TIMEOUT_S`."""
        client = LLMClient(config.llm_base_url, config.llm_api_key)
        return cls(client, (config.llm_model, *config.llm_fallback_models), config.llm_timeout_s, CircuitBreaker())

    def start(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        timeout_s: float | None = None,
        reader: Reader | None = None,
    ) -> Completion:
        """Return when the first piece is there.

        Args:
            timeout_s: less than the configured time, for a call that is not worth all of it.
            reader: when they leave, the call ends.

        Raises:
            GenerationError: no model began to answer in time, or the circuit is open; also while the pieces are read.
            ReaderLeft: here, or while the pieces are read.
        """
        if not self._breaker.allows():
            raise GenerationError("The LLM server keeps failing; it is tried again in a while.")
        try:
            deadline = self._clock() + min(self._timeout_s, timeout_s or self._timeout_s)
            return self._start(messages, max_tokens, deadline, reader)
        except CallFailed as exc:
            self._breaker.record_failure()
            raise GenerationError(f"No LLM answered: {exc}.") from exc

    def _start(
        self, messages: Sequence[Message], max_tokens: int, deadline: float, reader: Reader | None
    ) -> Completion:
        for retry in range(MAX_RETRIES + 1):
            failures: list[CallFailed] = []
            for model in self._models:
                try:
                    return self._call(model, messages, max_tokens, deadline, reader)
                except CallFailed as exc:
                    logger.warning("LLM call failed: model=%s try=%d: %s", model, retry + 1, exc)
                    failures.append(exc)
                    if exc.every_model:
                        break
            pause_s = self._pause_s(failures, retry)
            if pause_s is None or self._clock() + pause_s >= deadline:
                break
            self._sleep(pause_s)
        raise failures[0]

    def _call(
        self, model: str, messages: Sequence[Message], max_tokens: int, deadline: float, reader: Reader | None
    ) -> Completion:
        remaining_s = deadline - self._clock()
        if remaining_s <= 0:
            raise CallFailed("the time is over", may_pass=False, every_model=True)
        upstream = self._client.stream(model, messages, max_tokens=max_tokens, timeout_s=remaining_s, reader=reader)
        first = next(upstream, "")
        if not first:
            raise CallFailed("the answer is empty", may_pass=True)
        self._breaker.record_success()
        return Completion(model, self._watched(chain([first], upstream)), upstream.close)

    def _watched(self, pieces: Iterator[str]) -> Iterator[str]:
        try:
            yield from pieces
        except CallFailed as exc:
            self._breaker.record_failure()
            raise GenerationError(f"The LLM's answer broke off: {exc}.") from exc

    def _pause_s(self, failures: Sequence[CallFailed], retry: int) -> float | None:
        """Backoff with jitter, or what the model that is free first asks for; None where another try is of no use."""
        passing = [failure for failure in failures if failure.may_pass]
        if not passing or retry == MAX_RETRIES:
            return None
        asked_s = min(failure.retry_after_s or 0.0 for failure in passing)
        return max(asked_s, BACKOFF_S * 2.0**retry * (0.5 + self._jitter()))
