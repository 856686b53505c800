"""What the service asks of an LLM provider: one method. Swap the provider by writing another class that has it."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from src.errors import GenerationError


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message that is sent to an LLM."""

    role: Literal["system", "user", "assistant"]
    content: str


class ChatClient(Protocol):
    """An LLM provider."""

    def stream(
        self, model: str, messages: Sequence[ChatMessage], *, max_tokens: int, timeout_s: float
    ) -> Generator[str]:
        """Yield the pieces of one answer as they come; closing the iterator ends the request to the provider.

        Args:
            timeout_s: for everything, from connecting to the last piece.

        Raises:
            CallFailed: before the first piece, or later where the stream breaks off.
        """
        ...


class CallFailed(GenerationError):
    """One call failed.

    Args:
        may_pass: the same call may succeed later.
        every_model: another model of the same provider would fail as well.
        retry_after_s: what the provider asks to wait; None where it does not say.
    """

    def __init__(
        self, message: str, *, may_pass: bool, every_model: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.may_pass = may_pass
        self.every_model = every_model
        self.retry_after_s = retry_after_s
