"""The composition root: `create_app()` gives a bare app, the getters build each service once, on first use.

Nothing heavy is imported here: numpy, onnxruntime, tokenizers, chromadb and requests come with the first `/chat`.
"""

import logging
from collections.abc import Callable
from functools import lru_cache, partial, update_wrapper
from threading import BoundedSemaphore, Lock
from typing import Any, Generic, TypeVar

from flask import Flask

from src.artifacts import LEXICAL_FILE, Manifest, ModelCard
from src.config import Config
from src.memory.c_heap import share_heap
from src.memory.memory_manager import MemoryManager
from src.memory.memory_probe import MemoryProbe
from src.memory.worker_recycling import get_recycling
from src.rag.generator import OpenAIChatGenerator
from src.rag.rag_pipeline import RAGPipeline
from src.readiness import Readiness
from src.retrieval.cached_retriever import CachedEncoder, CachedRetriever
from src.retrieval.lexical_index import LexicalIndex
from src.retrieval.passage_store import PassageStore
from src.retrieval.retriever import Encoder, Retriever, VectorSearch
from src.web.error_handlers import register_error_handlers
from src.web.request_parsing import MAX_BODY_BYTES
from src.web.routes import register_routes
from src.web.security import register_security
from src.web.services import EXTENSION, Services

T = TypeVar("T")

logger = logging.getLogger(__name__)


class BuildOnce(Generic[T]):
    """`lru_cache` made single-flight: cold callers meet at a lock, one builds, and a failed build is not kept.

    Each getter has its own lock, so that nothing quick (`/ready`, `/documents`) waits for what is slow to build; the
    getters call one another in one direction only.
    """

    def __init__(self, build: Callable[[Config], T]) -> None:
        self._get = lru_cache(maxsize=1)(build)
        self._lock = Lock()
        update_wrapper(self, build)

    def __call__(self, config: Config) -> T:
        """Return the service, building it if this is the first call."""
        with self._lock:
            return self._get(config)

    @property
    def is_built(self) -> bool:
        """Tell whether the service is in memory."""
        return self._get.cache_info().currsize > 0

    def clear(self) -> None:
        """Forget the service; the next call builds it again."""
        with self._lock:
            self._get.cache_clear()


@BuildOnce
def get_manifest(config: Config) -> Manifest:
    """Read what the index holds, and refuse one that other parts built than are here."""
    manifest = Manifest.load(config.index_dir)
    manifest.require_match(ModelCard.load(config.model_dir))
    return manifest


@BuildOnce
def get_passage_store(config: Config) -> PassageStore:
    """Open the texts: documents, passages, sentences."""
    get_manifest(config)
    return PassageStore.open(config.index_dir / LEXICAL_FILE)


@BuildOnce
def get_lexical_index(config: Config) -> LexicalIndex:
    """Open the BM25 index, which lies in the same file as the texts."""
    return LexicalIndex(get_passage_store(config).database)


@BuildOnce
def get_embedding_service(config: Config) -> Encoder:
    """Load the embedding model."""
    if config.embedding_backend == "sentence-transformers":
        from src.embedding.sentence_transformers_encoder import SentenceTransformersEncoder

        return SentenceTransformersEncoder(config.embedding_model_name)
    from src.embedding.embedding_service import EmbeddingService

    return EmbeddingService.load(config.model_dir)


@BuildOnce
def get_vector_store(config: Config) -> VectorSearch:
    """Open the prebuilt Chroma collection, from a scratch copy or at `CHROMA_URL`."""
    manifest = get_manifest(config)
    if config.chroma_url:
        from src.retrieval.chroma_client import ChromaServer

        return ChromaServer.connect(config.chroma_url, manifest)
    from src.retrieval.vector_store import VectorStore

    return VectorStore.open(config.index_dir, manifest)


@BuildOnce
def get_retriever(config: Config) -> CachedRetriever:
    """Join the lexical index with the dense one, which is loaded when a search first needs it."""
    fingerprint = get_manifest(config).fingerprint
    encoder = CachedEncoder(partial(get_embedding_service, config), fingerprint)
    retriever = Retriever(
        get_passage_store(config),
        get_lexical_index(config),
        get_encoder=lambda: encoder,
        get_vectors=partial(get_vector_store, config),
    )
    return CachedRetriever(retriever, encoder, fingerprint)


@BuildOnce
def get_rag_pipeline(config: Config) -> RAGPipeline:
    """Join retrieval, the LLM where there is a key, and the extractive answer."""
    return RAGPipeline(
        get_retriever(config),
        generator=OpenAIChatGenerator.from_config(config) if config.llm_api_key else None,
        relevance_floor=get_manifest(config).relevance_floor,
    )


SERVICES: dict[str, BuildOnce[Any]] = {
    "passage_store": get_passage_store,
    "lexical_index": get_lexical_index,
    "embedding_service": get_embedding_service,
    "vector_store": get_vector_store,
    "rag_pipeline": get_rag_pipeline,
}


def load_services(config: Config, memory: MemoryManager) -> None:
    """Build everything and search once, so that the first question finds all of it warm."""
    share_heap()
    get_rag_pipeline(config)
    if not memory.has_room_for_model:
        return
    with memory.measure("embedding model"):
        get_embedding_service(config)
    with memory.measure("vectors"):
        get_vector_store(config)
    with memory.measure("first search"):
        get_retriever(config).search("warm-up", limit=1)


def unload_services(readiness: Readiness) -> None:
    """Let go of all that can be loaded again; the texts and the word index, which cost little, stay."""
    if get_vector_store.is_built or get_embedding_service.is_built:
        for getter in (get_rag_pipeline, get_retriever, get_vector_store, get_embedding_service):
            getter.clear()
        readiness.reset()


def create_app(config: Config | None = None) -> Flask:
    """Make the bare app.

    Args:
        config: read from the environment when None.

    Raises:
        ConfigError: an environment variable cannot be used.
    """
    config = config or Config.from_env()
    logging.getLogger("src").setLevel(config.log_level)
    app = Flask(__name__, template_folder="web/templates", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.json.sort_keys = False  # type: ignore[attr-defined]
    services = app.extensions[EXTENSION] = _services(config)
    get_recycling().serve(services)
    register_security(app, config)
    register_error_handlers(app)
    register_routes(app)
    return app


def _services(config: Config) -> Services:
    memory = MemoryManager(
        MemoryProbe(config.memory_limit_mb),
        replace_worker=get_recycling().request,
        alert_percent=config.memory_alerts_percent,
        alert_vms_mb=config.memory_alerts_vms_mb,
    )
    readiness = Readiness(partial(load_services, config, memory))

    def drop_caches() -> None:
        if get_retriever.is_built:
            get_retriever(config).clear()

    memory.on_pressure(drop_caches)
    memory.on_exhaustion(partial(unload_services, readiness))
    return Services(
        config=config,
        memory=memory,
        readiness=readiness,
        chat_slots=BoundedSemaphore(config.max_concurrent_chats),
        get_manifest=partial(get_manifest, config),
        get_passage_store=partial(get_passage_store, config),
        get_retriever=partial(get_retriever, config),
        get_rag_pipeline=partial(get_rag_pipeline, config),
        loaded=lambda: {name: getter.is_built for name, getter in SERVICES.items()},
        cache_stats=lambda: get_retriever(config).stats() if get_retriever.is_built else {},
        drop_caches=drop_caches,
    )
