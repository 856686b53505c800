"""What the web layer may reach of the rest: one frozen record of getters, kept at `app.extensions`."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import BoundedSemaphore

from flask import current_app

from src.artifacts import Manifest
from src.config import Config
from src.memory.memory_manager import MemoryManager
from src.rag.rag_pipeline import RAGPipeline
from src.readiness import Readiness
from src.retrieval.index import Index

EXTENSION = "services"


@dataclass(frozen=True, slots=True)
class ServiceState:
    """Whether a service is in memory.

    Args:
        words: what the page calls it, after "the".
    """

    name: str
    words: str
    is_loaded: bool


@dataclass(frozen=True, slots=True)
class Services:
    """Getters that build on first use and return the same object afterwards.

    Args:
        read_manifest: of the index on disk now.
        forget_damaged: called when a file of the index or the model could not be used.
        states: of every service, in the order in which they load; asking loads nothing.
        vectors_problem: why the vectors could not be asked the last time; None: they could, or are not loaded.
        slots: one for each chat or search that may run at once.
        peek_index: the index if it is open; asking opens nothing.
        chat_counts: answers of this process, by `answered_by`.
        feedback_counts: feedback that this process got: helpful, not_helpful.
    """

    config: Config
    memory: MemoryManager
    readiness: Readiness
    slots: BoundedSemaphore
    read_manifest: Callable[[], Manifest]
    forget_damaged: Callable[[], None]
    get_index: Callable[[], Index]
    peek_index: Callable[[], Index | None]
    get_rag_pipeline: Callable[[], RAGPipeline]
    states: Callable[[], list[ServiceState]]
    vectors_problem: Callable[[], str | None]
    chat_counts: Counter[str] = field(default_factory=Counter)
    feedback_counts: Counter[str] = field(default_factory=Counter)

    def loaded(self) -> dict[str, bool]:
        """Tell by name which services are in memory."""
        return {state.name: state.is_loaded for state in self.states()}

    def warm_up(self) -> None:
        """Load everything and return when it is there."""
        self.readiness.start().result()


def get_services() -> Services:
    """Return the services of the app that handles the current request."""
    services = current_app.extensions[EXTENSION]
    assert isinstance(services, Services)
    return services
