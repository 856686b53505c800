"""The only module that touches the environment: one frozen `Config`, checked before anything starts.

Each setting stands once, as a field of `Config` with its type, default, range and sentence. After a change here,
`python -m src.config_docs` writes `.env.example` and the table in docs/configuration.md anew.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self

from src.config_kinds import (
    ARCHIVE_URL,
    KEY,
    KEYS,
    LIST,
    NAME,
    ORIGINS,
    PATH,
    RATE,
    SHA256,
    TEXT,
    THRESHOLDS,
    URL,
    Kind,
    choice,
    integer,
)
from src.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Setting:
    """What is known of one environment variable besides its name and its type."""

    kind: Kind
    default: str
    about: str
    is_secret: bool

    def read(self, name: str, env: Mapping[str, str]) -> Any:
        """Parse the variable, or its default where it is unset or empty."""
        text = env.get(name, "").strip() or self.default
        try:
            return self.kind.parse(text)
        except ValueError as exc:
            # An address may hold a password.
            shown = "(a secret)" if self.is_secret or "@" in text else repr(text)
            raise ConfigError(f"{name}={shown} cannot be used: it must be {self.kind.allowed}.") from exc


def _setting(kind: Kind, default: str, about: str, *, is_secret: bool = False) -> Any:
    return field(repr=not is_secret, metadata={"setting": Setting(kind, default, about, is_secret)})


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that can be set from outside; the name of a variable is that of its field in capitals."""

    app_name: str = _setting(NAME, "rag512", "The name that the pages, the log and /v1/models show.")
    port: int = _setting(integer(1, 65535), "8000", "The port to listen on. Render sets it to 10000.")
    log_level: str = _setting(
        choice("DEBUG", "INFO", "WARNING", "ERROR"), "INFO", "INFO never logs a question or an answer."
    )
    access_log: Literal["on", "off"] = _setting(
        choice("on", "off"), "on", "One line in the log for each request, without questions, keys and addresses."
    )
    feedback: Literal["on", "off"] = _setting(
        choice("on", "off"), "on", "The page asks whether an answer helped. It is counted and logged, not stored."
    )
    memory_limit_mb: int = _setting(
        integer(1, 1_048_576), "512", "The memory of your plan. If the container has a lower limit, that one counts."
    )
    memory_alerts_percent: tuple[float, ...] = _setting(
        THRESHOLDS, "78,88,95", "The log warns once at each of these shares of the memory limit."
    )
    memory_alerts_vms_mb: tuple[float, ...] = _setting(
        THRESHOLDS,
        "2048,3072,4096",
        "The log warns once when a worker's address space reaches each of these sizes. 900 MB is usual.",
    )
    index_dir: Path = _setting(PATH, "data/index", "The built index. The server reads it and never writes to it.")
    model_dir: Path = _setting(PATH, "data/model", "The exported embedding model. The build and the server use it.")
    documents_dir: Path = _setting(PATH, "data/documents", "The documents that the build reads.")
    embedding_model_name: str = _setting(
        TEXT,
        "sentence-transformers/all-MiniLM-L6-v2",
        "The model that --export-model exports. This one ranks better than paraphrase-MiniLM-L3-v2, which is smaller "
        "(17.4 against 22.7 million parameters).",
    )
    embedding_backend: Literal["onnx", "sentence-transformers"] = _setting(
        choice("onnx", "sentence-transformers"),
        "onnx",
        "onnx needs no PyTorch. sentence-transformers is for comparisons and for large builds on a GPU; a server needs "
        "640 MB for it.",
    )
    llm_api_key: str = _setting(
        KEY,
        "",
        "The LLM key: of an OpenAI-compatible API. Without it, the service quotes the documents.",
        is_secret=True,
    )
    llm_base_url: str = _setting(
        URL, "https://openrouter.ai/api/v1", "The address before /chat/completions. OpenRouter has free models."
    )
    llm_model: str = _setting(TEXT, "meta-llama/llama-3.3-70b-instruct:free", "The model that writes the answers.")
    llm_fallback_models: tuple[str, ...] = _setting(LIST, "", "Models to try, in this order, when the first one fails.")
    llm_timeout_s: int = _setting(
        integer(1, 600), "30", "The seconds that one answer of the LLM may take, with retries."
    )
    top_k: int = _setting(
        integer(1, 20), "12", "The number of passages to answer from. A request can name another number."
    )
    web_concurrency: int = _setting(
        integer(1, 64),
        "1",
        "The number of workers. Each further one takes 60 MB and more, and pays only where there is a CPU for it.",
    )
    max_requests: int = _setting(
        integer(0, 1_000_000), "50", "The worker is replaced after this many chats. 0 means never."
    )
    max_requests_jitter: int = _setting(
        integer(0, 1_000_000), "10", "A random number of chats, up to this one, is added to MAX_REQUESTS."
    )
    gunicorn_threads: int = _setting(
        integer(2, 1000),
        "40",
        "The number of requests that are served at once. It must be greater than MAX_CONCURRENT_CHATS.",
    )
    max_concurrent_chats: int = _setting(
        integer(1, 999),
        "32",
        "The number of chats and searches that run at once. One more is answered with 503 and Retry-After.",
    )
    api_key: tuple[str, ...] = _setting(
        KEYS, "", "The access keys. When there are any, a caller must send one as a bearer token.", is_secret=True
    )
    admin_token: str = _setting(
        KEY, "", "The bearer token for /memory/optimize. Without a token that route is off.", is_secret=True
    )
    rate_limit: str = _setting(RATE, "60 per minute", "How often one client address may call the API.")
    rate_limit_storage_uri: str = _setting(
        TEXT,
        "memory://",
        "Where the calls are counted: memory:// is one count for this host, redis://... is one for many hosts and "
        "needs requirements-redis.txt.",
        is_secret=True,
    )
    trusted_proxies: int = _setting(
        integer(0, 10),
        "0",
        "The number of proxies in front that add an address to X-Forwarded-For: 2 on Render. 0 ignores that header.",
    )
    cors_origins: tuple[str, ...] = _setting(
        ORIGINS, "", "The origins whose pages may call the API from a browser. There are none by default; * is all."
    )
    index_url: str = _setting(
        ARCHIVE_URL, "", "A published index, which `build_embeddings.py fetch` brings into INDEX_DIR."
    )
    index_sha256: str = _setting(
        SHA256, "", "The SHA-256 of that archive. Without it, the file beside the archive with .sha256 added counts."
    )
    chroma_url: str = _setting(URL, "", "A Chroma server that holds the vectors, in place of the store in INDEX_DIR.")
    chroma_api_key: str = _setting(
        KEY, "", "The key of Chroma Cloud, or of a server that asks for one.", is_secret=True
    )
    chroma_tenant: str = _setting(TEXT, "default_tenant", "The tenant on the Chroma server.")
    chroma_database: str = _setting(TEXT, "default_database", "The database of that tenant.")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read and check the environment; an empty variable counts as unset.

        Raises:
            ConfigError: with the name, the value (unless it is a secret) and what is allowed.
        """
        env = os.environ if environ is None else environ
        config = cls(**{name.lower(): setting.read(name, env) for name, setting in SETTINGS.items()})
        if config.gunicorn_threads <= config.max_concurrent_chats:
            raise ConfigError(
                f"GUNICORN_THREADS={config.gunicorn_threads} must be greater than MAX_CONCURRENT_CHATS="
                f"{config.max_concurrent_chats}, so that /health is answered while all chats wait. Raise the first "
                "or lower the second."
            )
        return config


def set_for_library(name: str, value: str) -> None:
    """Set a variable that a library reads in this process and in those that it starts."""
    os.environ[name] = value


SETTINGS: dict[str, Setting] = {item.name.upper(): item.metadata["setting"] for item in fields(Config)}
