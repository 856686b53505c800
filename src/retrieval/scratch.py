"""The scratch copies of stores: folders that go away with the process that made them."""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from src.errors import ServiceUnavailable

SCRATCH_PREFIX = "rag512-"
# As mkdtemp names them after the process; another folder that begins so is somebody else's.
_SCRATCH_NAME = re.compile(rf"{SCRATCH_PREFIX}(\d{{1,9}})-[a-z0-9_]{{8}}")


def make_scratch() -> Path:
    """Make an empty folder that says whose it is."""
    return Path(tempfile.mkdtemp(prefix=f"{SCRATCH_PREFIX}{os.getpid()}-"))


def remove_scratch(scratch: Path, pid: int) -> None:
    """Remove a copy, but not from a forked child, which inherited its parent's."""
    if pid == os.getpid():
        shutil.rmtree(scratch, ignore_errors=True)


def remove_stale_scratch() -> None:
    """Remove scratch copies whose process is gone, for instance killed."""
    for directory in Path(tempfile.gettempdir()).glob(f"{SCRATCH_PREFIX}*"):
        ours = _SCRATCH_NAME.fullmatch(directory.name)
        if ours and not is_alive(int(ours.group(1))):
            shutil.rmtree(directory, ignore_errors=True)


def is_alive(pid: int) -> bool:
    """Tell whether there is a process of this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def copy_writable(source: Path, target: Path) -> None:
    """Copy contents without modes: the source may be read-only, Chroma must write."""
    for item in source.iterdir():
        if item.is_dir():
            (target / item.name).mkdir()
            copy_writable(item, target / item.name)
        else:
            shutil.copyfile(item, target / item.name)


@contextmanager
def scratch_errors(source: Path) -> Iterator[None]:
    """Tell a scratch disk that is full or may not be written to from an index that cannot be read."""
    try:
        yield
    except OSError as exc:
        is_full = exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
        if not is_full and str(exc.filename).startswith(str(source)):
            raise
        message = f"The scratch folder cannot be written to ({exc.strerror}). Make room, or set TMPDIR to another."
        raise ServiceUnavailable(message, retry_after_s=60, code="scratch_unusable") from exc
