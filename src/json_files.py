"""JSON files of the artifacts: read with words for what is wrong, written so that git compares them line by line."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from src.errors import ArtifactError

T = TypeVar("T")


@contextmanager
def may_be_read() -> Iterator[None]:
    """Tell a file that this user may not read from one that is damaged."""
    try:
        yield
    except PermissionError as exc:
        raise ArtifactError(f"{exc.filename} may not be read by the server's user. Let that user read it.") from exc


def read_json(path: Path, parse: Callable[[Any], T], cure: str) -> T:
    """Make a record of what a file holds.

    Raises:
        ArtifactError: it cannot be read, or `parse` misses keys or finds others.
    """
    try:
        with may_be_read():
            return parse(json.loads(path.read_text(encoding="utf-8")))
    except (KeyError, TypeError) as exc:
        raise ArtifactError(f"{path} is not of this version: its keys differ. {cure}") from exc
    except (OSError, ValueError) as exc:
        raise ArtifactError(f"{path} cannot be read ({exc}). {cure}") from exc


def write_json(path: Path, value: Any) -> None:
    """Write the same bytes for the same value."""
    path.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def digest(value: Any) -> str:
    """Hash a value in 16 hex digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
