"""How files are broken, encrypted, or far too large: for the formats that a library reads, most of them zipped."""

import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree.ElementTree import ParseError
from xml.parsers.expat import ExpatError
from zlib import error as ZlibError  # noqa: N812 - an error class by its usual form

from src.errors import UnreadableDocument

MAX_UNPACKED_BYTES = 200_000_000
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# The libraries that read these files mostly have no error classes of their own: a part that is missing or of another
# shape surfaces as one of these. lxml's XMLSyntaxError is a SyntaxError.
_BROKEN_FILE_ERRORS: tuple[type[Exception], ...] = (
    *(OSError, ValueError, LookupError, AttributeError, TypeError, RecursionError, EOFError, AssertionError),
    *(NotImplementedError, SyntaxError, ExpatError, ParseError, ZlibError, zipfile.BadZipFile),
)
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
    with reading(suffix), zipfile.ZipFile(io.BytesIO(data)) as archive:
        unpacked = sum(item.file_size for item in archive.infolist())
    if unpacked > MAX_UNPACKED_BYTES:
        raise UnreadableDocument(f"it unpacks to more than {MAX_UNPACKED_BYTES // 1_000_000} MB")


@contextmanager
def reading(suffix: str, *errors: type[Exception]) -> Iterator[None]:
    """Say that a file is not of its format where its library cannot read it, with what that said.

    Args:
        errors: the library's own, besides those that any of them raises.

    Raises:
        UnreadableDocument: it cannot.
    """
    try:
        yield
    except (*_BROKEN_FILE_ERRORS, *errors) as exc:
        raise UnreadableDocument(f"it is not a readable {suffix} file ({describe(exc)})") from exc


def describe(exc: Exception) -> str:
    """Tell a library's error in a line that is the same at each build: the manifest keeps it."""
    said = " ".join(_MEMORY_ADDRESS.sub("", str(exc)).split())[:200]
    return f"{type(exc).__name__}: {said}"
