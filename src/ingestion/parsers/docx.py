"""Word documents: mammoth makes HTML of their structure, which becomes Markdown; tables stay tables."""

import io
import zipfile
from dataclasses import replace

from src.ingestion.parsers.archive import check_archive, reading
from src.ingestion.parsers.html import parse_html
from src.ingestion.parsers.markup import words_of
from src.ingestion.parsers.parsed import Parsed

_STYLES = "p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => p:fresh"


def parse_docx(data: bytes) -> Parsed:
    """Parse a Word document; its core title is the title where it has one.

    Raises:
        UnreadableDocument: encrypted, of the old binary format, broken, or far too large when unpacked.
    """
    import mammoth

    check_archive(data, ".docx")
    with reading(".docx"):
        title = _core_title(data)
        html = mammoth.convert_to_html(io.BytesIO(data), style_map=_STYLES, convert_image=lambda _: []).value
    return replace(parse_html(html), title=title)


def _core_title(data: bytes) -> str:
    from bs4 import BeautifulSoup

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if "docProps/core.xml" not in archive.namelist():
            return ""
        title = BeautifulSoup(archive.read("docProps/core.xml"), "xml").find("title")
    return words_of(title)
