"""The composition root: `create_app()` gives a bare app, the getters build each service once, on first use.

Nothing heavy is imported here: numpy, onnxruntime, tokenizers, chromadb and requests come with the first `/chat`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from threading import BoundedSemaphore
from typing import Any

from flask import Flask

from src.artifacts import Manifest, ModelCard
from src.config import Config
from src.errors import ArtifactError, ConfigError
from src.integrity import Integrity
from src.memory.c_heap import share_heap
from src.memory.memory_manager import MemoryManager
from src.memory.memory_probe import MemoryProbe
from src.memory.thresholds import LEAST_TORCH_MB
from src.memory.worker_recycling import get_recycling
from src.rag.generator import Generator
from src.rag.openai_client import OpenAIClient
from src.rag.rag_pipeline import RAGPipeline
from src.rag.relevance import Floors
from src.readiness import BuildOnce, Readiness, require_threads
from src.retrieval.index import Encoder, Index, open_index
from src.retrieval.vector_store import VectorSearch, open_server_vectors, open_vectors, store_format
from src.server.request_framing import MAX_BODY_BYTES
from src.web.access import register_access
from src.web.error_handlers import register_error_handlers
from src.web.routes import register_routes
from src.web.services import EXTENSION, Services, ServiceState

logger = logging.getLogger(__name__)


def read_manifest(config: Config) -> Manifest:
    """Read what the index on disk holds, and refuse one that other parts built than are here."""
    manifest = Manifest.load(config.index_dir, texts_only=bool(config.chroma_url))
    manifest.require_match(ModelCard.load(config.model_dir), store_format())
    return manifest


@BuildOnce
def get_integrity(config: Config) -> Integrity:
    """Return what is known of the files; called before the workers are forked, which then share it."""
    return Integrity(config.index_dir, config.model_dir, texts_only=bool(config.chroma_url))


@BuildOnce
def get_embedding_service(config: Config) -> Encoder:
    """Load the embedding model."""
    get_integrity(config).check_model()
    if config.embedding_backend == "sentence-transformers":
        from src.embedding.sentence_transformers_encoder import SentenceTransformersEncoder, full_name

        built, named = get_index(config).manifest.spec.model_name, full_name(config.embedding_model_name)
        if built != named:
            cure = f"Set EMBEDDING_MODEL_NAME={built}, or rebuild the index with the other model."
            raise ArtifactError(f"The index was built with {built}, but EMBEDDING_MODEL_NAME is {named}. {cure}")
        return SentenceTransformersEncoder(named)
    from src.embedding.embedding_service import EmbeddingService

    return EmbeddingService.load(config.model_dir)


@BuildOnce
def get_vector_store(config: Config) -> VectorSearch:
    """Open the prebuilt Chroma collection, from a scratch copy or at `CHROMA_URL`."""
    manifest = get_index(config).manifest
    if config.chroma_url:
        return open_server_vectors(config, manifest.fingerprint, manifest.results.chunks)
    return open_vectors(config.index_dir, manifest.results.chunks)


@BuildOnce
def get_index(config: Config) -> Index:
    """Open the index: its texts and words at once; a search by meaning asks for the model and the vectors."""
    manifest = read_manifest(config)
    get_integrity(config).check_index(manifest)
    return open_index(
        config.index_dir,
        manifest=manifest,
        get_encoder=partial(get_embedding_service, config),
        get_vectors=partial(get_vector_store, config),
    )


@BuildOnce
def get_rag_pipeline(config: Config) -> RAGPipeline:
    """Join retrieval, the LLM where there is a key, and the quotation without one."""
    generator = None
    if config.llm_api_key:
        client = OpenAIClient(config.llm_base_url, config.llm_api_key)
        generator = Generator(client, (config.llm_model, *config.llm_fallback_models), config.llm_timeout_s)
    return RAGPipeline(get_index(config), generator, Floors.of(get_index(config).manifest))


@dataclass(frozen=True, slots=True)
class Service:
    """One line of the table of services.

    Args:
        words: what the page calls it, after "the".
        is_heavy: it costs tens of MB: its load is measured, and it does not survive an unload.
    """

    name: str
    words: str
    get: BuildOnce[Any]
    is_heavy: bool = False


# In the order in which they load. /ready and the page show this table, and an unload goes through it backwards.
SERVICES = (
    Service("index", "texts", get_index),
    Service("embedding_service", "embedding model", get_embedding_service, is_heavy=True),
    Service("vector_store", "vectors", get_vector_store, is_heavy=True),
    Service("rag_pipeline", "answers", get_rag_pipeline),
)


def load_services(config: Config, memory: MemoryManager) -> None:
    """Build everything and search once, so that the first question finds all of it warm.

    An index that is replaced meanwhile is loaded anew, so that nothing is mixed. After a failure nothing stays of what
    was read, so that the next load sees the disk as it is then.
    """
    share_heap()  # before any other thread starts
    require_threads()
    services = [service for service in SERVICES if memory.has_room_for_model or not service.is_heavy]
    try:
        with get_integrity(config).loading():
            _load(config, memory, services)
            if get_index(config).manifest != read_manifest(config):
                forget_services(config, SERVICES)
                _load(config, memory, services)
    except BaseException:
        forget_services(config, SERVICES)
        raise


def _load(config: Config, memory: MemoryManager, services: Sequence[Service]) -> None:
    for service in services:
        with memory.measure(service.words) if service.is_heavy else nullcontext():
            service.get(config)
    with memory.measure("first search"):
        get_index(config).search("warm-up", limit=1, kind="hybrid" if memory.has_room_for_model else "lexical")


def drop_caches(config: Config) -> None:
    """Let go of what is merely convenient."""
    if index := get_index.peek(config):
        index.clear_cache()


def unload_services(config: Config, readiness: Readiness) -> None:
    """Let go of what is heavy; the texts, which cost little, stay, and a search by words still works."""
    heavy = [service for service in SERVICES if service.is_heavy]
    if any(service.get.peek(config) is not None for service in heavy):
        forget_services(config, heavy)
        readiness.reset()


def forget_damaged(config: Config, readiness: Readiness) -> None:
    """Let go of everything, because a file could not be used; the next load reads and checks all of it."""
    get_integrity(config).forget()
    forget_services(config, SERVICES)
    readiness.reset()


def forget_services(config: Config, services: Sequence[Service]) -> None:
    """Forget these services, those that use others first."""
    for service in reversed(services):
        service.get.clear(config)


def create_app(config: Config | None = None) -> Flask:
    """Make the bare app.

    Args:
        config: read from the environment when None.

    Raises:
        ConfigError: an environment variable cannot be used, here or at all.
    """
    config = config or Config.from_env()
    logging.getLogger("src").setLevel(config.log_level)
    app = Flask(__name__, template_folder="web/templates", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.json.sort_keys = False  # type: ignore[attr-defined]
    services = app.extensions[EXTENSION] = _services(config)
    limit_mb = services.memory.read().limit_mb
    if config.embedding_backend == "sentence-transformers" and limit_mb < LEAST_TORCH_MB:
        message = (
            f"EMBEDDING_BACKEND=sentence-transformers needs {LEAST_TORCH_MB:.0f} MB. "
            f"This server may use {limit_mb:.0f} MB."
        )
        raise ConfigError(f"{message} Raise MEMORY_LIMIT_MB with the plan, or use onnx.")
    get_recycling().serve(services)
    register_access(app, config)
    register_error_handlers(app)
    register_routes(app)
    return app


def _services(config: Config) -> Services:
    memory = MemoryManager(
        MemoryProbe(config.memory_limit_mb),
        replace_worker=get_recycling().request,
        drop_caches=partial(drop_caches, config),
        unload_services=lambda: unload_services(config, readiness),
        alert_percent=config.memory_alerts_percent,
        alert_vms_mb=config.memory_alerts_vms_mb,
    )
    integrity = get_integrity(config)

    def load() -> None:
        load_services(config, memory)
        integrity.read_large_files(forget)

    readiness = Readiness(load)
    forget = partial(forget_damaged, config, readiness)

    return Services(
        config=config,
        memory=memory,
        readiness=readiness,
        slots=BoundedSemaphore(config.max_concurrent_chats),
        read_manifest=partial(read_manifest, config),
        forget_damaged=forget,
        get_index=partial(get_index, config),
        peek_index=partial(get_index.peek, config),
        get_rag_pipeline=partial(get_rag_pipeline, config),
        states=lambda: [ServiceState(one.name, one.words, one.get.peek(config) is not None) for one in SERVICES],
        vectors_problem=lambda: vectors.problem if (vectors := get_vector_store.peek(config)) else None,
    )
