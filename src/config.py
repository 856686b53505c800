"""The only reader of the environment: one frozen `Config`, validated before anything starts.

`SETTINGS` is the table of names, defaults and ranges; `.env.example` and the README's table are tested against it.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from src.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that can be set from outside; the sentences on each are in `SETTINGS`."""

    port: int
    log_level: str
    memory_limit_mb: int
    memory_alerts_percent: tuple[float, ...]
    memory_alerts_vms_mb: tuple[float, ...]
    index_dir: Path
    model_dir: Path
    documents_dir: Path
    embedding_model_name: str
    embedding_backend: Literal["onnx", "sentence-transformers"]
    llm_api_key: str = field(repr=False)
    llm_base_url: str
    llm_model: str
    llm_fallback_models: tuple[str, ...]
    llm_timeout_s: int
    top_k: int
    max_requests: int
    max_requests_jitter: int
    gunicorn_threads: int
    max_concurrent_chats: int
    api_key: str = field(repr=False)
    admin_token: str = field(repr=False)
    rate_limit: str
    rate_limit_storage_uri: str = field(repr=False)
    trusted_proxies: int
    cors_origins: tuple[str, ...]
    chroma_url: str

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read and validate the environment; an empty variable counts as unset.

        Raises:
            ConfigError: with the name, the value (unless it is a secret) and what is allowed.
        """
        env = os.environ if environ is None else environ
        values = {item.name.lower(): item.read(env) for item in SETTINGS}
        config = cls(**values)
        if config.gunicorn_threads <= config.max_concurrent_chats:
            raise ConfigError(
                f"GUNICORN_THREADS={config.gunicorn_threads} must be greater than MAX_CONCURRENT_CHATS="
                f"{config.max_concurrent_chats}, so that /health is answered while all chats wait. Raise the one or "
                "lower the other."
            )
        return config


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable: how it is read and one sentence on it."""

    name: str
    default: str
    parse: Callable[[str], Any]
    allowed: str
    about: str
    secret: bool = False

    def read(self, env: Mapping[str, str]) -> Any:
        """Parse the variable, or its default where it is unset or empty."""
        text = env.get(self.name, "").strip() or self.default
        try:
            return self.parse(text)
        except ValueError as exc:
            shown = "(a secret)" if self.secret else repr(text)
            raise ConfigError(f"{self.name}={shown} cannot be used: it must be {self.allowed}.") from exc


def _integer(low: int, high: int) -> tuple[Callable[[str], int], str]:
    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return parse, f"a whole number from {low} to {high}"


def _choice(*allowed: str) -> tuple[Callable[[str], str], str]:
    def parse(text: str) -> str:
        for value in allowed:
            if text.lower() == value.lower():
                return value
        raise ValueError

    return parse, "one of " + ", ".join(allowed)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _thresholds(text: str) -> tuple[float, ...]:
    values = tuple(float(word) for word in _words(text))
    if len(values) != 3 or sorted(set(values)) != list(values) or not 0 < values[0] <= values[-1] < 1e9:
        raise ValueError
    return values


def _url(text: str) -> str:
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise ValueError
    return text.rstrip("/")


def _rate(text: str) -> str:
    if text.lower() == "off":
        return "off"
    if not re.fullmatch(r"[1-9]\d* per (second|minute|hour|day)", text):
        raise ValueError
    return text


def _header_value(text: str) -> str:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError
    return text


_TEXT: tuple[Callable[[str], Any], str] = (str, "text")
_PATH: tuple[Callable[[str], Any], str] = (Path, "a path")
_URL: tuple[Callable[[str], Any], str] = (_url, "an http or https address")
_LIST: tuple[Callable[[str], Any], str] = (_words, "words separated by commas")
_THRESHOLDS: tuple[Callable[[str], Any], str] = (_thresholds, "three ascending numbers separated by commas")
_KEY: tuple[Callable[[str], Any], str] = (_header_value, "printable ASCII without spaces")

SETTINGS: tuple[Setting, ...] = (
    Setting("PORT", "8000", *_integer(1, 65535), "Port to listen on; Render sets it to 10000."),
    Setting(
        "LOG_LEVEL", "INFO", *_choice("DEBUG", "INFO", "WARNING", "ERROR"), "INFO never logs a question or an answer."
    ),
    Setting(
        "MEMORY_LIMIT_MB", "512", *_integer(1, 1_048_576), "What the tier allows; a lower limit of the cgroup wins."
    ),
    Setting(
        "MEMORY_ALERTS_PERCENT",
        "78,88,95",
        *_THRESHOLDS,
        "Shares of the limit at which the log says warning, critical and emergency, once each.",
    ),
    Setting(
        "MEMORY_ALERTS_VMS_MB",
        "2048,3072,4096",
        *_THRESHOLDS,
        "The same for a worker's address space, of which 0.9 GB is usual.",
    ),
    Setting("INDEX_DIR", "data/index", *_PATH, "The built index; read, never written, by the server."),
    Setting("MODEL_DIR", "data/model", *_PATH, "The exported embedding model, used by the build and the server alike."),
    Setting("DOCUMENTS_DIR", "data/documents", *_PATH, "What the build reads."),
    Setting(
        "EMBEDDING_MODEL_NAME",
        "sentence-transformers/all-MiniLM-L6-v2",
        *_TEXT,
        "The sentence-transformers model that --export-model exports: better than paraphrase-MiniLM-L3-v2, no larger.",
    ),
    Setting(
        "EMBEDDING_BACKEND",
        "onnx",
        *_choice("onnx", "sentence-transformers"),
        "onnx needs no torch; sentence-transformers is for comparing and for large builds on a GPU.",
    ),
    Setting("LLM_API_KEY", "", *_KEY, "Key of an OpenAI-compatible API; without one, answers are extractive.", True),
    Setting(
        "LLM_BASE_URL", "https://openrouter.ai/api/v1", *_URL, "Where /chat/completions is; OpenRouter has free models."
    ),
    Setting("LLM_MODEL", "meta-llama/llama-3.3-70b-instruct:free", *_TEXT, "The model that writes the answers."),
    Setting("LLM_FALLBACK_MODELS", "", *_LIST, "Models to try in this order when the first one fails."),
    Setting("LLM_TIMEOUT_S", "30", *_integer(1, 600), "Seconds for the whole LLM call, retries included."),
    Setting("TOP_K", "5", *_integer(1, 20), "Passages an answer is written from, unless the request says otherwise."),
    Setting("MAX_REQUESTS", "50", *_integer(0, 1_000_000), "Chats after which the worker is replaced; 0: never."),
    Setting(
        "MAX_REQUESTS_JITTER", "10", *_integer(0, 1_000_000), "Up to so many chats more, so that workers do not align."
    ),
    Setting(
        "GUNICORN_THREADS",
        "40",
        *_integer(2, 1000),
        "Requests served at once: 32 chats waiting for an LLM and some for probes and pages.",
    ),
    Setting(
        "MAX_CONCURRENT_CHATS", "32", *_integer(1, 999), "Chats served at once; one more gets 503 with Retry-After."
    ),
    Setting("API_KEY", "", *_KEY, "When set, /chat, /search, /documents and /v1 want it as a bearer token.", True),
    Setting("ADMIN_TOKEN", "", *_KEY, "Bearer token for /memory/optimize; without one that route is off.", True),
    Setting("RATE_LIMIT", "60 per minute", _rate, '"N per second|minute|hour|day" or off', "For each client address."),
    Setting("RATE_LIMIT_STORAGE_URI", "memory://", *_TEXT, "Where the counts are; memory:// suits one worker.", True),
    Setting(
        "TRUSTED_PROXIES",
        "0",
        *_integer(0, 10),
        "How many proxies append to X-Forwarded-For before this server: 2 on Render, 0 believes none of it.",
    ),
    Setting("CORS_ORIGINS", "", *_LIST, "Origins whose pages may call the API; none by default."),
    Setting("CHROMA_URL", "", *_URL, "A Chroma server to ask instead of opening the embedded store."),
)
