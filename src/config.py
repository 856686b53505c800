"""The only module that reads the environment: one frozen `Config`, checked before anything starts.

Each setting stands once, as a field of `Config` with its type, default, range and sentence. After a change here,
`python -m src.config_docs` writes `.env.example` and the table in docs/configuration.md anew.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from src.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Kind:
    """What a value may be: a function that reads it, and the same rule in words."""

    parse: Callable[[str], Any]
    allowed: str


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


def _integer(low: int, high: int) -> Kind:
    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return Kind(parse, f"a whole number from {low} to {high}")


def _choice(*allowed: str) -> Kind:
    def parse(text: str) -> str:
        for value in allowed:
            if text.lower() == value.lower():
                return value
        raise ValueError

    return Kind(parse, "one of " + ", ".join(allowed))


def _parse_list(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _parse_thresholds(text: str) -> tuple[float, ...]:
    values = tuple(float(word) for word in _parse_list(text))
    if len(values) != 3 or sorted(set(values)) != list(values) or not 0 < values[0] <= values[-1] < 1e9:
        raise ValueError
    return values


def _parse_url(text: str) -> str:
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc):
        raise ValueError
    return text.rstrip("/")


def _parse_origins(text: str) -> tuple[str, ...]:
    """Write origins as browsers send them: in small letters, without a slash at the end; `*` is all of them."""
    origins = tuple(origin.lower().rstrip("/") for origin in _parse_list(text))
    if not all(re.fullmatch(r"\*|https?://[^/?#@\s*]+", origin) for origin in origins):
        raise ValueError
    return origins


def _parse_rate(text: str) -> str:
    if text.lower() == "off":
        return "off"
    if not re.fullmatch(r"[1-9]\d* per (second|minute|hour|day)", text):
        raise ValueError
    return text


def _parse_key(text: str) -> str:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError
    return text


def _parse_keys(text: str) -> tuple[str, ...]:
    return tuple(_parse_key(key) for key in _parse_list(text))


def _parse_name(text: str) -> str:
    if not text.isprintable() or len(text) > 60:
        raise ValueError
    return text


_TEXT = Kind(str, "text")
_NAME = Kind(_parse_name, "up to 60 printable characters")
_PATH = Kind(Path, "a path")
_URL = Kind(_parse_url, "an http or https address without a password")
_LIST = Kind(_parse_list, "words separated by commas")
_ORIGINS = Kind(_parse_origins, "origins such as https://docs.example.org, separated by commas, or *")
_THRESHOLDS = Kind(_parse_thresholds, "three ascending numbers separated by commas")
_RATE = Kind(_parse_rate, '"N per second", minute, hour or day, or off')
_KEY = Kind(_parse_key, "printable ASCII without spaces")
_KEYS = Kind(_parse_keys, "keys of printable ASCII without spaces, separated by commas")


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that can be set from outside; the name of a variable is that of its field in capitals."""

    app_name: str = _setting(_NAME, "rag512", "The name that the pages, the log and /v1/models show.")
    port: int = _setting(_integer(1, 65535), "8000", "The port to listen on. Render sets it to 10000.")
    log_level: str = _setting(
        _choice("DEBUG", "INFO", "WARNING", "ERROR"), "INFO", "INFO never logs a question or an answer."
    )
    access_log: Literal["on", "off"] = _setting(
        _choice("on", "off"), "on", "One line in the log for each request, without questions, keys and addresses."
    )
    feedback: Literal["on", "off"] = _setting(
        _choice("on", "off"), "on", "The page asks whether an answer helped. It is counted and logged, not stored."
    )
    memory_limit_mb: int = _setting(
        _integer(1, 1_048_576), "512", "The memory of your plan. If the container has a lower limit, that one counts."
    )
    memory_alerts_percent: tuple[float, ...] = _setting(
        _THRESHOLDS, "78,88,95", "The log warns once at each of these shares of the memory limit."
    )
    memory_alerts_vms_mb: tuple[float, ...] = _setting(
        _THRESHOLDS,
        "2048,3072,4096",
        "The log warns once when a worker's address space reaches each of these sizes. 900 MB is usual.",
    )
    index_dir: Path = _setting(_PATH, "data/index", "The built index. The server reads it and never writes to it.")
    model_dir: Path = _setting(_PATH, "data/model", "The exported embedding model. The build and the server use it.")
    documents_dir: Path = _setting(_PATH, "data/documents", "The documents that the build reads.")
    embedding_model_name: str = _setting(
        _TEXT,
        "sentence-transformers/all-MiniLM-L6-v2",
        "The model that --export-model exports. This one ranks better than paraphrase-MiniLM-L3-v2, which is smaller "
        "(17.4 against 22.7 million parameters).",
    )
    embedding_backend: Literal["onnx", "sentence-transformers"] = _setting(
        _choice("onnx", "sentence-transformers"),
        "onnx",
        "onnx needs no PyTorch. sentence-transformers is for comparisons and for large builds on a GPU; a server needs "
        "640 MB for it.",
    )
    llm_api_key: str = _setting(
        _KEY,
        "",
        "The key of an OpenAI-compatible API. Without a key, the service quotes the documents.",
        is_secret=True,
    )
    llm_base_url: str = _setting(
        _URL, "https://openrouter.ai/api/v1", "The address before /chat/completions. OpenRouter has free models."
    )
    llm_model: str = _setting(_TEXT, "meta-llama/llama-3.3-70b-instruct:free", "The model that writes the answers.")
    llm_fallback_models: tuple[str, ...] = _setting(
        _LIST, "", "Models to try, in this order, when the first one fails."
    )
    llm_timeout_s: int = _setting(
        _integer(1, 600), "30", "The seconds that one answer of the LLM may take, with retries."
    )
    top_k: int = _setting(
        _integer(1, 20), "12", "The number of passages to answer from. A request can name another number."
    )
    max_requests: int = _setting(
        _integer(0, 1_000_000), "50", "The worker is replaced after this many chats. 0 means never."
    )
    max_requests_jitter: int = _setting(
        _integer(0, 1_000_000), "10", "A random number of chats, up to this one, is added to MAX_REQUESTS."
    )
    gunicorn_threads: int = _setting(
        _integer(2, 1000),
        "40",
        "The number of requests that are served at once. It must be greater than MAX_CONCURRENT_CHATS.",
    )
    max_concurrent_chats: int = _setting(
        _integer(1, 999),
        "32",
        "The number of chats and searches that run at once. One more is answered with 503 and Retry-After.",
    )
    api_key: tuple[str, ...] = _setting(
        _KEYS, "", "When it is set, a caller must send one of these keys as a bearer token.", is_secret=True
    )
    admin_token: str = _setting(
        _KEY, "", "The bearer token for /memory/optimize. Without a token that route is off.", is_secret=True
    )
    rate_limit: str = _setting(_RATE, "60 per minute", "How often one client address may call the API.")
    rate_limit_storage_uri: str = _setting(
        _TEXT,
        "memory://",
        "Where the calls are counted: memory:// is one count for this host, redis://... is one for many hosts.",
        is_secret=True,
    )
    trusted_proxies: int = _setting(
        _integer(0, 10),
        "0",
        "The number of proxies in front that add an address to X-Forwarded-For: 2 on Render. 0 ignores that header.",
    )
    cors_origins: tuple[str, ...] = _setting(
        _ORIGINS, "", "The origins whose pages may call the API from a browser. There are none by default; * is all."
    )
    chroma_url: str = _setting(_URL, "", "A Chroma server that holds the vectors, in place of the store in INDEX_DIR.")

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


SETTINGS: dict[str, Setting] = {item.name.upper(): item.metadata["setting"] for item in fields(Config)}
