"""Lets a request through to the services, or says when to come back."""

from contextlib import ExitStack

from src.errors import ServiceUnavailable
from src.records import MemoryMode
from src.web.services import Services

WAIT_FOR_SERVICES_S = 30.0
RETRY_WHEN_FULL_S = 5


def admit_chat(services: Services, stack: ExitStack) -> MemoryMode:
    """Take a chat slot, which `stack` gives back when it closes, and wait for the services.

    Raises:
        ServiceUnavailable: all slots are taken, the services are not ready within the limit, or memory is short.
    """
    if not services.chat_slots.acquire(blocking=False):
        message = f"All {services.config.max_concurrent_chats} places for chats are taken. Ask again in a moment."
        raise ServiceUnavailable(message, retry_after_s=RETRY_WHEN_FULL_S, code="too_many_chats")
    stack.callback(services.chat_slots.release)
    return admit(services)


def admit(services: Services) -> MemoryMode:
    """Look at the memory and wait until what its mode allows is loaded; DEGRADED waits for nothing."""
    mode = services.memory.observe()
    if mode is not MemoryMode.DEGRADED:
        services.readiness.wait(WAIT_FOR_SERVICES_S)
    return mode
