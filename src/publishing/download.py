"""Brings a file into the folder of the index; an attempt that broke off is gone on with, also by the next process."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from src.errors import StorageError
from src.publishing.archive import require_room
from src.publishing.storage import DIGEST_SUFFIX, Source
from src.publishing.stream import Stream

ATTEMPTS = 5
FIRST_PAUSE_S = 1.0
PROGRESS_EVERY_S = 5.0
T = TypeVar("T")
_DIGEST = re.compile(rb"([0-9a-fA-F]{64})\b")


def read_digest(source: Source, name: str, tell: Callable[[str], None]) -> str:
    """Read the SHA-256 that lies beside an archive.

    Raises:
        StorageError: there is none.
    """
    cure = f"Set INDEX_SHA256, or put {name}{DIGEST_SUFFIX} beside the archive."
    try:
        head = _retry(lambda: next(source.open(name + DIGEST_SUFFIX).blocks, b""), tell)
    except StorageError as exc:
        raise StorageError(f"{exc} {cure}", may_pass=exc.may_pass) from exc
    match = _DIGEST.match(head)
    if match is None:
        raise StorageError(f"{name}{DIGEST_SUFFIX} does not begin with a SHA-256. {cure}")
    return match[1].decode().lower()


def download(source: Source, name: str, part: Path, tell: Callable[[str], None]) -> None:
    """Append to `part` until all of the file is there.

    Raises:
        StorageError: it does not come; what has come stays for the next time.
    """
    _retry(lambda: _append(source.open(name, _size_of(part)), part, tell), tell, lambda: _size_of(part))


def _retry(attempt: Callable[[], T], tell: Callable[[str], None], measure: Callable[[], int] = lambda: 0) -> T:
    """Attempt again with growing pauses; one that got further, by what `measure` gives, begins the count anew."""
    failures = 0
    while True:
        before = measure()
        try:
            return attempt()
        except StorageError as exc:
            failures = 1 if measure() > before else failures + 1
            if not exc.may_pass or failures == ATTEMPTS:
                raise
            pause = FIRST_PAUSE_S * 2 ** (failures - 1)
            tell(f"{exc} Trying again in {pause:.0f} s.")
            time.sleep(pause)


def _append(stream: Stream, part: Path, tell: Callable[[str], None]) -> None:
    total = "" if stream.total is None else f" of {stream.total / 1e6:,.1f}"
    if stream.total is not None:
        require_room(part.parent, stream.total - stream.start)
    done, told = stream.start, time.monotonic()
    try:
        with part.open("ab") as file:
            file.truncate(stream.start)
            for block in stream.blocks:
                file.write(block)
                done += len(block)
                if time.monotonic() - told >= PROGRESS_EVERY_S:
                    tell(f"{done / 1e6:,.1f}{total} MB are here.")
                    told = time.monotonic()
    except OSError:
        part.unlink(missing_ok=True)  # a full disk would stay full
        raise
    tell(f"{done / 1e6:,.1f}{total} MB are here.")


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
