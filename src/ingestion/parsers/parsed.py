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
_STRANGE = re.compile("[\udc80-\udcff]")
# Of the letters of a western text, fewer are outside ASCII; of one in another script, nearly all.
OTHER_SCRIPT = 0.4
OTHER_ENCODINGS = ["shift_jis", "euc_jp", "gb18030", "big5", "euc_kr", "cp1251", "koi8_r", "cp1253", "cp1255", "cp1256"]

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
    """Turn bytes into tidy text: by their byte order mark or their zero bytes, else UTF-8, else what they look like.

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
        return tidy(_decode_other(data))


def _decode_other(data: bytes) -> str:
    """Decode what is not all UTF-8: UTF-8 with single bytes of Windows-1252 in it, Windows-1252, or another script."""
    text = data.decode("utf-8", errors="surrogateescape")
    strange = len(_STRANGE.findall(text))
    if sum(letter > "\x7f" for letter in text) > 2 * strange:
        return _STRANGE.sub(lambda byte: bytes([ord(byte[0]) - 0xDC00]).decode("cp1252", errors="replace"), text)
    western = data.decode("cp1252", errors="replace")
    letters = [letter for letter in western if letter.isalpha()]
    if sum(letter > "\x7f" for letter in letters) > OTHER_SCRIPT * len(letters):
        from charset_normalizer import from_bytes

        best = from_bytes(data, cp_isolation=OTHER_ENCODINGS).best()
        if best is not None:
            return data.decode(best.encoding, errors="replace")
    return western


def _guess_utf16(data: bytes) -> str | None:
    """Tell UTF-16 without a mark: every other byte of a western text is zero."""
    half = len(data) // 2
    for name, zeros, others in (("utf-16-le", data[1::2], data[::2]), ("utf-16-be", data[::2], data[1::2])):
        if half >= _FEWEST_PAIRS and zeros.count(0) > 0.7 * half and others.count(0) == 0:
            return name
    return None
