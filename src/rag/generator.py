"""Asks an LLM through any `ChatClient`: retries, fallback models, and a circuit breaker around it.

Whatever goes wrong ends as `GenerationError`. The pipeline then quotes the documents instead.
"""

import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from src.errors import GenerationError
from src.rag.chat_client import CallFailed, ChatClient, ChatMessage
from src.rag.circuit_breaker import CircuitBreaker

MAX_RETRIES = 2
BACKOFF_S = 0.5

logger = logging.getLogger(__name__)


class Completion:
    """An answer that has begun: iterate over its pieces; `close` ends the request to the provider.

    Args:
        model: the model that writes it, which may be a fallback.
    """

    def __init__(self, model: str, pieces: Iterator[str], close: Callable[[], None]) -> None:
        self.model = model
        self._pieces = pieces
        self.close = close

    def __iter__(self) -> Iterator[str]:
        return self._pieces


class Generator:
    """Asks the models in order until one begins to answer; then, after a pause, all of them again.

    Args:
        models: the preferred one first.
        timeout_s: for the whole answer, retries included.
        sleep, clock, jitter: of the pauses; `jitter` gives a number from 0 to 1.
    """

    def __init__(
        self,
        client: ChatClient,
        models: Sequence[str],
        timeout_s: float,
        breaker: CircuitBreaker | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._models = tuple(models)
        self._timeout_s = timeout_s
        self._breaker = breaker or CircuitBreaker(clock=clock)
        self._sleep, self._clock, self._jitter = sleep, clock, jitter

    def start(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> Completion:
        """Return when the first piece is there.

        Raises:
            GenerationError: no model began to answer in time, or the circuit is open; also while the pieces are read.
        """
        if not self._breaker.allows():
            raise GenerationError("The LLM server keeps failing; it is tried again in a while.")
        try:
            return self._start(messages, max_tokens, self._clock() + self._timeout_s)
        except CallFailed as exc:
            # Other failures say something of the question, such as one that is too long or that a provider refuses.
            if exc.may_pass or exc.every_model:
                self._breaker.record_failure()
            raise GenerationError(f"No LLM answered: {exc}.") from exc

    def _start(self, messages: Sequence[ChatMessage], max_tokens: int, deadline: float) -> Completion:
        for retry in range(MAX_RETRIES + 1):
            failures: list[CallFailed] = []
            for model in self._models:
                try:
                    return self._call(model, messages, max_tokens, deadline)
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

    def _call(self, model: str, messages: Sequence[ChatMessage], max_tokens: int, deadline: float) -> Completion:
        remaining_s = deadline - self._clock()
        if remaining_s <= 0:
            raise CallFailed("the time is over", may_pass=False, every_model=True)
        pieces = self._client.stream(model, messages, max_tokens=max_tokens, timeout_s=remaining_s)
        first = next(pieces, "")
        if not first:
            raise CallFailed("the answer is empty", may_pass=True)
        return Completion(model, self._watched(chain([first], pieces)), pieces.close)

    def _watched(self, pieces: Iterator[str]) -> Iterator[str]:
        try:
            yield from pieces
        except CallFailed as exc:
            self._breaker.record_failure()
            raise GenerationError(f"The LLM's answer broke off: {exc}.") from exc
        self._breaker.record_success()

    def _pause_s(self, failures: Sequence[CallFailed], retry: int) -> float | None:
        """Return the backoff with jitter, or the shortest wait a model asks for; None where another try is useless."""
        passing = [failure for failure in failures if failure.may_pass]
        if not passing or retry == MAX_RETRIES:
            return None
        asked_s = min(failure.retry_after_s or 0.0 for failure in passing)
        return max(asked_s, BACKOFF_S * 2.0**retry * (0.5 + self._jitter()))
