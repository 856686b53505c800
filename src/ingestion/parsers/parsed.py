"""What every parser returns, and two steps that parsers share: to decode bytes and to tidy text."""

import codecs
import re
from dataclasses import dataclass

from src.errors import UnreadableDocument

_LINE_ENDS = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
# Among them lone surrogates, halves of a character, which no file can be written with.
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff\ufdd0-\ufdef\ufeff\ufffe\uffff]")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_FEWEST_PAIRS = 4

# Where a link's words begin and end in the text, and where it leads to.
Link = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Parsed:
    """A file as text.

    Args:
        title: what the file itself says it is called; "" where it says nothing.
        page_starts: as in `Document`.
        links: ascending, as the file has them.
    """

    text: str
    title: str = ""
    page_starts: tuple[int, ...] = ()
    links: tuple[Link, ...] = ()


def tidy(text: str) -> str:
    """End lines with `\\n` and drop what nobody can see."""
    return _CONTROLS.sub("", _LINE_ENDS.sub("\n", text))


def decode(data: bytes) -> str:
    """Turn bytes into tidy text: by their byte order mark or their zero bytes, else UTF-8, else Windows-1252.

    Raises:
        UnreadableDocument: the bytes are not text.
    """
    encoding = next((name for bom, name in _BOMS if data.startswith(bom)), None) or _guess_utf16(data)
    try:
        if encoding is None and b"\x00" in data:
            raise UnreadableDocument("it is not text: it holds zero bytes")
        return tidy(data.decode(encoding or "utf-8"))
    except UnicodeDecodeError as exc:
        if encoding is not None:
            raise UnreadableDocument(f"it is not valid {encoding}, which its first bytes announce") from exc
        return tidy(data.decode("cp1252", errors="replace"))


def _guess_utf16(data: bytes) -> str | None:
    """Tell UTF-16 without a mark: every other byte of a western text is zero."""
    half = len(data) // 2
    for name, zeros, others in (("utf-16-le", data[1::2], data[::2]), ("utf-16-be", data[::2], data[1::2])):
        if half >= _FEWEST_PAIRS and zeros.count(0) > 0.7 * half and others.count(0) == 0:
            return name
    return None
