"""What the web layer may reach of the rest: one frozen record of getters, at `app.extensions["rag512"]`."""

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
from src.retrieval.cache import CacheStats
from src.retrieval.index import Index

EXTENSION = "rag512"


@dataclass(frozen=True, slots=True)
class Services:
    """Getters that build on first use and return the same object ever after.

    Args:
        loaded: which services are in memory, by name.
        chat_slots: one for each chat that may run at once.
        cache_stats: of the caches there are by now; asking loads nothing.
        chat_counts: answers of this process, by `answered_by`.
    """

    config: Config
    memory: MemoryManager
    readiness: Readiness
    chat_slots: BoundedSemaphore
    get_manifest: Callable[[], Manifest]
    get_index: Callable[[], Index]
    get_rag_pipeline: Callable[[], RAGPipeline]
    loaded: Callable[[], dict[str, bool]]
    cache_stats: Callable[[], dict[str, CacheStats]]
    drop_caches: Callable[[], None]
    chat_counts: Counter[str] = field(default_factory=Counter)

    def warm_up(self) -> None:
        """Load everything and return when it is there; a successor worker does this before it accepts requests."""
        self.readiness.start().result()

    def save_caches(self) -> bytes:
        """Return nothing: a successor starts with an empty cache."""
        return b""

    def restore_caches(self, saved: bytes) -> None:
        """Do nothing."""


def get_services() -> Services:
    """Return the services of the app that handles the current request."""
    services = current_app.extensions[EXTENSION]
    assert isinstance(services, Services)
    return services
