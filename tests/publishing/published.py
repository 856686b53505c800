"""What the tests of publishing hand to each other."""

from dataclasses import dataclass
from pathlib import Path

from tests.conftest import corpus_places


@dataclass(frozen=True)
class Published:
    """A published index: its folder, its archive, and the lines that `publish` printed."""

    folder: Path
    archive: Path
    lines: dict[str, str]


@dataclass(frozen=True)
class Done:
    """What a command said."""

    code: int
    out: str
    err: str


def all_bytes(folder: Path) -> dict[str, bytes]:
    """Read every file of a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def corpus_index() -> Path:
    """Return the index of the tests' own documents, which the first test that wants it builds."""
    return Path(corpus_places()["INDEX_DIR"])
