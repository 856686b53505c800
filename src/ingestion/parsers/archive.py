"""What the zipped formats of Office and EPUB have in common: how they are broken, encrypted, or far too large."""

import io
import re
import zipfile
from pathlib import PurePosixPath
from xml.etree.ElementTree import ParseError
from xml.parsers.expat import ExpatError
from zlib import error as ZlibError  # noqa: N812 - an error class by its usual form

from src.errors import UnreadableDocument

MAX_UNPACKED_BYTES = 200_000_000
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# The libraries that read these files mostly have no error classes of their own: a part that is missing or of another
# shape surfaces as one of these. lxml's XMLSyntaxError is a SyntaxError.
BROKEN_FILE_ERRORS = (OSError, ValueError, LookupError, AttributeError, TypeError, RecursionError, ExpatError,
                      ParseError, SyntaxError, ZlibError, EOFError, AssertionError, zipfile.BadZipFile,
                      NotImplementedError)  # fmt: skip
_MEMORY_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def check_archive(data: bytes, suffix: str) -> None:
    """Refuse what is no archive, and one that would fill the memory.

    Args:
        suffix: of the format, such as `.docx`, for the message.

    Raises:
        UnreadableDocument: encrypted, of the old binary format, broken, or far too large when unpacked.
    """
    if data.startswith(_OLE):
        old = suffix.removesuffix("x")
        raise UnreadableDocument(f"it is encrypted or of the old {old} format; save it as {suffix} without a password")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(item.file_size for item in archive.infolist())
    except BROKEN_FILE_ERRORS as exc:
        raise not_readable(suffix, exc) from exc
    if unpacked > MAX_UNPACKED_BYTES:
        raise UnreadableDocument(f"it unpacks to more than {MAX_UNPACKED_BYTES // 1_000_000} MB")


def not_readable(suffix: str, exc: Exception) -> UnreadableDocument:
    """Say that a file is not of its format, with what its library said."""
    return UnreadableDocument(f"it is not a readable {suffix} file ({describe(exc)})")


def describe(exc: Exception) -> str:
    """Tell a library's error in a line that is the same at each build: the manifest keeps it."""
    said = " ".join(_MEMORY_ADDRESS.sub("", str(exc)).split())[:200]
    return f"{type(exc).__name__}: {said}"


def read_part(archive: zipfile.ZipFile, name: str) -> bytes:
    """Read a part of an archive by its name, which may be written with `..` in it."""
    parts: list[str] = []
    for part in PurePosixPath(name).parts:
        if part == "..":
            parts = parts[:-1]
        else:
            parts.append(part)
    return archive.read("/".join(parts))
