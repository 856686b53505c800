"""Sees damage in the files of the index and the model before a library opens them, and stops loads that kill.

One flipped byte can change answers silently, or crash the vector store's engine. So every file is compared with the
SHA-256 that was written with it, once for as long as it stays the same by size and time. What one worker learns, the
next ones know: it lies in memory that they inherit from the master.
"""

import hashlib
import logging
import os
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass, replace
from mmap import mmap
from pathlib import Path, PurePosixPath
from threading import Thread, get_native_id
from typing import Any

from src.artifacts import CHECKSUMS_FILE, EXPORT, MANIFEST_FILE, REBUILD, Manifest, ModelCard, sha256_of
from src.checksums import read_checksums, require_whole
from src.errors import ArtifactError
from src.json_files import may_be_read
from src.retrieval.scratch import is_alive

# Files up to this sum, the small ones first, are read before the load; 100 MB take 0.1 to 0.3 CPU-s. Larger ones are
# read after it, beside the answers.
READ_BEFORE_LOAD_BYTES = 100 * 2**20
BACKGROUND_NICENESS = 10
CLOCK_TICK_S = 2.0
# After a load that ended its worker. Each further one makes it four times as long.
FIRST_REST_S = 60.0
_CURES = {"index": REBUILD, "model": EXPORT}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    """What every worker knows, as it lies in shared memory.

    Args:
        index, model: signature of the files that were found whole.
        damaged, damage: signature of files of which one is damaged, and the message about it.
        loading, pid, began: signature of the files that are being loaded, by which process, since when.
        kills: how many loads of these files have ended their process.
    """

    index: bytes
    model: bytes
    damaged: bytes
    damage: bytes
    loading: bytes
    pid: int
    began: float
    kills: int


_PAGE = struct.Struct("<16s16s16s1000s16sIdI")


class Integrity:
    """What is known of the files; made before the workers are forked.

    Args:
        texts_only: leave the files of the vectors alone, which are on a server.
    """

    def __init__(self, index_dir: Path, model_dir: Path, *, texts_only: bool = False) -> None:
        self._index_dir, self._model_dir, self._texts_only = index_dir, model_dir, texts_only
        self._page = mmap(-1, _PAGE.size)
        # Of the index and the model: the signature, and what was too large to be read before the load.
        self._unread: dict[str, tuple[bytes, dict[Path, str]]] = {}

    def check_index(self, manifest: Manifest) -> None:
        """Compare the files of the index that has this manifest.

        Raises:
            ArtifactError: naming the first one that is damaged.
        """
        sums = read_checksums(self._index_dir)
        unnamed = {MANIFEST_FILE, *manifest.results.file_bytes} - {PurePosixPath(name).name for name in sums}
        require_whole(not unnamed, f"{CHECKSUMS_FILE} does not name {min(unnamed, default='')}")
        if self._texts_only:
            sums = {name: digest for name, digest in sums.items() if "/" not in name}
        self._check(self._index_dir, sums, "index")

    def check_model(self) -> None:
        """Compare the model's files.

        Raises:
            ArtifactError: naming the first one that is damaged.
        """
        self._check(self._model_dir, ModelCard.load(self._model_dir).files, "model")

    def forget(self) -> None:
        """Trust no file any more, because one that was whole could not be used."""
        self._write(index=b"", model=b"")

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Mark that these files are being loaded; refuse them if the last process that loaded them did not survive it.

        Raises:
            ArtifactError: it did not.
        """
        signature = _sign(_look_at([*self._index_dir.rglob("*"), *self._model_dir.glob("*")]))
        known = self._read()
        is_same = known.loading == signature
        kills = known.kills if is_same else 0
        if is_same and not is_alive(known.pid):
            kills += 1
            if time.time() - known.began < FIRST_REST_S * 4 ** (kills - 1):
                message = "Loading the index and the model has ended the process that did it: one of them is damaged"
                raise ArtifactError(f"{message}, or memory is too small for them. {REBUILD}")
        self._write(loading=signature, pid=os.getpid(), began=time.time(), kills=kills)
        try:
            yield
        finally:
            self._write(loading=b"", kills=0)

    def read_large_files(self, on_damage: Callable[[], None]) -> None:
        """Compare in the background what was too large to be read before the load."""
        unread, self._unread = self._unread, {}
        if unread:
            Thread(target=self._read_in_background, args=(unread, on_damage), name="integrity", daemon=True).start()

    def _check(self, folder: Path, sums: Mapping[str, str], part: str) -> None:
        paths = {folder / name: digest for name, digest in sums.items()}
        found = _look_at(paths)
        signature = _sign(found)
        known = self._read()
        if getattr(known, part) == signature:
            return
        if known.damaged == signature:
            raise ArtifactError(known.damage.rstrip(b"\0").decode(errors="replace"))
        total, large = 0, {}
        for size, path in sorted((found[path].st_size if path in found else 0, path) for path in paths):
            total += size
            if total > READ_BEFORE_LOAD_BYTES:
                large[path] = paths[path]
            elif damage := _find_damage(path, paths[path], _CURES[part]):
                if not _was_just_written(_look_at(paths)):
                    self._write(damaged=signature, damage=damage.encode(errors="replace"))
                raise ArtifactError(damage)
        if large:
            self._unread[part] = signature, large
        else:
            self._write(**{part: signature})

    def _read_in_background(
        self, unread: dict[str, tuple[bytes, dict[Path, str]]], on_damage: Callable[[], None]
    ) -> None:
        os.setpriority(os.PRIO_PROCESS, get_native_id(), BACKGROUND_NICENESS)
        for part, (signature, sums) in unread.items():
            try:
                for path, digest in sums.items():
                    if damage := _find_damage(path, digest, _CURES[part]):
                        raise ArtifactError(damage)
            except ArtifactError as exc:
                logger.error("Index or model unusable: %s", exc)
                self._write(damaged=signature, damage=str(exc).encode(errors="replace"))
                on_damage()
            else:
                self._write(**{part: signature})

    def _read(self) -> _Known:
        return _Known(*_PAGE.unpack_from(self._page))

    def _write(self, **changes: Any) -> None:
        _PAGE.pack_into(self._page, 0, *astuple(replace(self._read(), **changes)))


def _find_damage(path: Path, digest: str, cure: str) -> str:
    """Say that a file is damaged; nothing if it is whole. One that cannot be read is an error, read again each time."""
    try:
        with may_be_read():
            is_whole = sha256_of(path) == digest
    except OSError as exc:
        raise ArtifactError(f"{path} cannot be read ({exc.strerror}). {cure}") from exc
    return "" if is_whole else f"{path} is damaged: its SHA-256 is not the one that was written with it. {cure}"


def _look_at(paths: Iterable[Path]) -> dict[Path, os.stat_result]:
    """Look at the files that are there."""
    found = {}
    for path in paths:
        with suppress(OSError):
            found[path] = path.stat()
    return found


def _was_just_written(found: Mapping[Path, os.stat_result]) -> bool:
    """Tell whether a file could be written again without another time: a file system's clock ticks slowly."""
    return any(abs(time.time() - stat.st_mtime) < CLOCK_TICK_S for stat in found.values())


def _sign(found: Mapping[Path, os.stat_result]) -> bytes:
    """Hash what changes when a file is written: its name, size, time and place on disk."""
    lines = [f"{path} {stat.st_size} {stat.st_mtime_ns} {stat.st_ino}\n" for path, stat in sorted(found.items())]
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).digest()[:16]
