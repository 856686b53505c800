"""Where archives lie: a folder on this machine, a web server, or a store that speaks S3."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from src.errors import StorageError
from src.publishing.stream import BLOCK_BYTES, Stream

DIGEST_SUFFIX = ".sha256"


class Source(Protocol):
    """Gives files that lie side by side."""

    def open(self, name: str, offset: int = 0) -> Stream:
        """Read a file from an offset on, or from its start where that is not possible.

        Raises:
            StorageError: it cannot be read; the blocks raise it too.
        """


class Target(Source, Protocol):
    """Takes files too."""

    def exists(self, name: str) -> bool:
        """Tell whether the file is there."""

    def write(self, name: str, file: Path) -> None:
        """Put a file there as a whole: nobody ever reads half of it."""

    def locate(self, name: str) -> str:
        """Return what INDEX_URL is to be for the file."""


def open_source(url: str) -> tuple[Source, str]:
    """Open where an archive lies; return it with the archive's name."""
    parts = urlsplit(url)
    name = parts.path.rpartition("/")[2]
    if parts.scheme in ("http", "https"):
        from src.publishing.http_storage import HttpStorage

        return HttpStorage(url), name
    return open_target(url.rpartition("/")[0] or ("/" if url.startswith("/") else ".")), name


def open_target(where: str) -> Target:
    """Open a place that can be written to.

    Raises:
        StorageError: it cannot.
    """
    parts = urlsplit(where)
    if parts.scheme == "s3":
        from src.publishing.s3_storage import S3Storage

        return S3Storage(parts.netloc, parts.path.strip("/"))
    if parts.scheme not in ("", "file"):
        raise StorageError(f"Nothing can be published to {where}. Name a folder, or s3://bucket/folder.")
    return Folder(Path(parts.path if parts.scheme else where))


class Folder:
    """A folder on this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, name: str, offset: int = 0) -> Stream:
        """Read a file."""
        path = self._folder / name
        try:
            return Stream(offset, path.stat().st_size, _read(path, offset))
        except OSError as exc:
            raise StorageError(f"{path} cannot be read ({exc.strerror}).") from exc

    def exists(self, name: str) -> bool:
        """Tell whether the file is there."""
        return (self._folder / name).is_file()

    def write(self, name: str, file: Path) -> None:
        """Copy beside the place, then rename."""
        self._folder.mkdir(parents=True, exist_ok=True)
        aside = self._folder / f".{name}-{os.getpid()}"
        try:
            shutil.copyfile(file, aside)
            with aside.open("rb") as written:
                os.fsync(written.fileno())
            aside.rename(self._folder / name)
        finally:
            aside.unlink(missing_ok=True)

    def locate(self, name: str) -> str:
        """Return the path."""
        return str((self._folder / name).resolve())


def _read(path: Path, offset: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(offset)
        while block := file.read(BLOCK_BYTES):
            yield block
