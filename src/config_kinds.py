"""What the value of a setting may be: for each kind, a function that reads it, and the same rule in words."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Kind:
    """What a value may be: a function that reads it, and the same rule in words."""

    parse: Callable[[str], Any]
    allowed: str


def integer(low: int, high: int) -> Kind:
    """Take a whole number within a range."""

    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return Kind(parse, f"a whole number from {low} to {high}")


def choice(*allowed: str) -> Kind:
    """Take one of some words, in any case."""

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


def _parse_archive_url(text: str) -> str:
    parts = urlsplit(text)
    if "@" in parts.netloc or (parts.scheme and parts.scheme not in ("http", "https", "s3", "file")):
        raise ValueError
    return text


def _parse_sha256(text: str) -> str:
    if text and not re.fullmatch(r"[0-9a-f]{64}", text.lower()):
        raise ValueError
    return text.lower()


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
    keys = tuple(_parse_key(key) for key in _parse_list(text))
    if text and not keys:  # an open service is not what was meant
        raise ValueError
    return keys


def _parse_name(text: str) -> str:
    if not text.isprintable() or len(text) > 60:
        raise ValueError
    return text


TEXT = Kind(str, "text")
NAME = Kind(_parse_name, "up to 60 printable characters")
PATH = Kind(Path, "a path")
URL = Kind(_parse_url, "an http or https address without a password")
ARCHIVE_URL = Kind(_parse_archive_url, "an http, https or s3 address, or a path")
SHA256 = Kind(_parse_sha256, "64 hexadecimal digits")
LIST = Kind(_parse_list, "words separated by commas")
ORIGINS = Kind(_parse_origins, "origins such as https://docs.example.org, separated by commas, or *")
THRESHOLDS = Kind(_parse_thresholds, "three ascending numbers separated by commas")
RATE = Kind(_parse_rate, '"N per second", minute, hour or day, or off')
KEY = Kind(_parse_key, "printable ASCII without spaces")
KEYS = Kind(_parse_keys, "keys of printable ASCII without spaces, separated by commas")
