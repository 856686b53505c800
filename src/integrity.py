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
from contextlib import contextmanager
from mmap import mmap
from pathlib import Path, PurePosixPath
from threading import Thread, get_native_id

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
# Signatures of the index and the model that are whole, of files that are damaged, of the load that runs; its process,
# how many loads of these files have ended their process, and when the last one began.
_PAGE = struct.Struct("<16s16s16s16sIId")
_INDEX, _MODEL, _DAMAGED, _LOADING, _PID, _KILLS, _BEGAN = range(7)
_CURES = {_INDEX: REBUILD, _MODEL: EXPORT}

logger = logging.getLogger(__name__)


class Integrity:
    """What is known of the files; made before the workers are forked.

    Args:
        texts_only: leave the files of the vectors alone, which are on a server.
    """

    def __init__(self, index_dir: Path, model_dir: Path, *, texts_only: bool = False) -> None:
        self._index_dir, self._model_dir, self._texts_only = index_dir, model_dir, texts_only
        self._page = mmap(-1, _PAGE.size)
        # By place in the page: the signature, and what was too large to be read before the load.
        self._unread: dict[int, tuple[bytes, dict[Path, str]]] = {}
        # The message about a set of files with a damaged one, by the signature of the set.
        self._told: dict[bytes, str] = {}

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
        self._check(self._index_dir, sums, _INDEX)

    def check_model(self) -> None:
        """Compare the model's files.

        Raises:
            ArtifactError: naming the first one that is damaged.
        """
        self._check(self._model_dir, ModelCard.load(self._model_dir).files, _MODEL)

    def forget(self) -> None:
        """Trust no file any more, because one that was whole could not be used."""
        self._write({_INDEX: b"", _MODEL: b""})

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Mark that these files are being loaded; refuse them if the last process that loaded them did not survive it.

        Raises:
            ArtifactError: it did not.
        """
        signature = _sign([*self._index_dir.rglob("*"), *self._model_dir.glob("*")])
        *_, last, pid, kills, began = self._read()
        if last != signature:
            kills = 0
        elif not is_alive(pid):
            kills += 1
            if time.time() - began < FIRST_REST_S * 4 ** (kills - 1):
                message = "Loading the index and the model has ended the process that did it: one of them is damaged"
                raise ArtifactError(f"{message}, or memory is too small for them. {REBUILD}")
        self._write({_LOADING: signature, _PID: os.getpid(), _KILLS: kills, _BEGAN: time.time()})
        try:
            yield
        finally:
            self._write({_LOADING: b"", _KILLS: 0})

    def read_large_files(self, on_damage: Callable[[], None]) -> None:
        """Compare in the background what was too large to be read before the load."""
        unread, self._unread = self._unread, {}
        if unread:
            Thread(target=self._read_in_background, args=(unread, on_damage), name="integrity", daemon=True).start()

    def _check(self, folder: Path, sums: Mapping[str, str], slot: int) -> None:
        paths = {folder / name: digest for name, digest in sums.items()}
        signature = _sign(paths)
        page = self._read()
        if page[slot] == signature:
            return
        if page[_DAMAGED] == signature or signature in self._told:
            raise ArtifactError(self._told.get(signature, f"A file in {folder} is damaged. {_CURES[slot]}"))
        total, large = 0, {}
        for path in sorted(paths, key=_size_of):
            total += _size_of(path)
            if total > READ_BEFORE_LOAD_BYTES:
                large[path] = paths[path]
            elif damage := _find_damage(path, paths[path], _CURES[slot]):
                if not _was_just_written(paths):
                    self._told[signature] = damage
                raise ArtifactError(damage)
        if large:
            self._unread[slot] = signature, large
        else:
            self._write({slot: signature})

    def _read_in_background(
        self, unread: dict[int, tuple[bytes, dict[Path, str]]], on_damage: Callable[[], None]
    ) -> None:
        os.setpriority(os.PRIO_PROCESS, get_native_id(), BACKGROUND_NICENESS)
        for slot, (signature, sums) in unread.items():
            try:
                for path, digest in sums.items():
                    if damage := _find_damage(path, digest, _CURES[slot]):
                        raise ArtifactError(damage)
            except ArtifactError as exc:
                logger.error("Index or model unusable: %s", exc)
                self._write({_DAMAGED: signature})
                on_damage()
            else:
                self._write({slot: signature})

    def _read(self) -> tuple[bytes, bytes, bytes, bytes, int, int, float]:
        return _PAGE.unpack_from(self._page)

    def _write(self, changes: Mapping[int, object]) -> None:
        values = [changes.get(place, value) for place, value in enumerate(self._read())]
        _PAGE.pack_into(self._page, 0, *values)


def _find_damage(path: Path, digest: str, cure: str) -> str:
    """Say that a file is damaged; nothing if it is whole. One that cannot be read is an error, read again each time."""
    try:
        with may_be_read():
            is_whole = sha256_of(path) == digest
    except OSError as exc:
        raise ArtifactError(f"{path} cannot be read ({exc.strerror}). {cure}") from exc
    return "" if is_whole else f"{path} is damaged: its SHA-256 is not the one that was written with it. {cure}"


def _was_just_written(paths: Iterable[Path]) -> bool:
    """Tell whether a file could be written again without another time: a file system's clock ticks slowly."""
    return any(abs(time.time() - path.stat().st_mtime) < CLOCK_TICK_S for path in paths if path.exists())


def _sign(paths: Iterable[Path]) -> bytes:
    """Hash what changes when a file is written: its name, size, time and place on disk."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        try:
            stat = path.stat()
        except OSError:
            continue
        digest.update(f"{path} {stat.st_size} {stat.st_mtime_ns} {stat.st_ino}\n".encode(errors="surrogateescape"))
    return digest.digest()[:16]


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
