"""An index as one compressed file, named after the index's fingerprint.

It is gzip: the index of 242 real documents (17.6 MB) becomes 9.4 MB in 0.7 CPU-s and is unpacked in 0.1. xz makes
8.3 MB of it in 13.6 CPU-s and unpacks them in 0.5; zstd is not in Python 3.11. An archive holds plain files and nothing
else, the manifest first: it says how large the others are, so nothing larger is ever unpacked.
"""

import gzip
import json
import re
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from src.artifacts import CHECKSUMS_FILE, MANIFEST_FILE
from src.checksums import read_checksums
from src.errors import StorageError

# Of the files that the manifest does not measure: itself, 110 bytes a document, and the checksums, 100 bytes a file.
MAX_ABOUT_BYTES = 256 * 2**20
_NAME = re.compile(r"index-([0-9a-f]{16})\.tar\.gz")


def archive_name(fingerprint: str) -> str:
    """Name the archive of an index."""
    return f"index-{fingerprint}.tar.gz"


def parse_fingerprint(name: str) -> str:
    """Read the fingerprint out of an archive's name.

    Raises:
        StorageError: it is not the name of an archive.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        what = "It must end with the name that `build_embeddings.py publish` gave, index-<fingerprint>.tar.gz."
        raise StorageError(f"INDEX_URL names {name or 'no file'}, which is no archive of an index. {what}")
    return match[1]


def pack(index_dir: Path, archive: Path) -> None:
    """Write the files that the checksums name; one index gives one sequence of bytes."""
    names = sorted({*read_checksums(index_dir), CHECKSUMS_FILE} - {MANIFEST_FILE})
    with (
        archive.open("wb") as raw,
        gzip.GzipFile("", "wb", 6, raw, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for name in (MANIFEST_FILE, *names):
            member = tarfile.TarInfo(name)
            member.size = (index_dir / name).stat().st_size
            with (index_dir / name).open("rb") as file:
                tar.addfile(member, file)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack into an empty folder.

    Raises:
        StorageError: it is no archive of an index, or there is no room for it.
    """
    try:
        with tarfile.open(archive, "r|gz") as tar:
            _write(tar, tar.next(), folder, {MANIFEST_FILE: MAX_ABOUT_BYTES})
            sizes = json.loads((folder / MANIFEST_FILE).read_bytes())["results"]["file_bytes"]
            require_room(folder, sum(sizes.values()))
            sizes[CHECKSUMS_FILE] = MAX_ABOUT_BYTES
            while member := tar.next():
                _write(tar, member, folder, sizes)
    # What a file of another format, or half a file, gives.
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, ValueError, LookupError, TypeError) as exc:
        raise StorageError(f"What INDEX_URL names is no archive of an index: {exc}. Publish the index again.") from exc


def require_room(folder: Path, needed: int) -> None:
    """Refuse to begin what cannot end.

    Raises:
        StorageError: the disk has less room than that many bytes.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        room = f"{needed / 1e6:,.1f} MB are needed, {free / 1e6:,.1f} MB are free"
        raise StorageError(f"The disk of {folder.parent} is too small: {room}. The old index is as it was. Make room.")


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo | None, folder: Path, sizes: dict[str, int]) -> None:
    """Write one file whose name and size are expected, and expect it no more."""
    if member is None:
        raise ValueError("it is empty")
    path = PurePosixPath(member.name)
    is_inside = member.isreg() and not path.is_absolute() and ".." not in path.parts
    if not is_inside or member.size > sizes.pop(path.name, -1):
        raise ValueError(f"{member.name!r} is not a file that its manifest names")
    source = tar.extractfile(member)
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if source is not None:
        with target.open("xb") as file:
            shutil.copyfileobj(source, file, 2**20)
