"""EPUB: the chapters in reading order, each as HTML."""

import io
import posixpath
import zipfile
from urllib.parse import unquote

from src.errors import UnreadableDocument
from src.ingestion.parsers.archive import check_archive, reading
from src.ingestion.parsers.html import parse_fragment
from src.ingestion.parsers.markup import words_of
from src.ingestion.parsers.parsed import Parsed

_CONTAINER = "META-INF/container.xml"
_RIGHTS = "META-INF/rights.xml"
_CHAPTER_TYPES = ("application/xhtml+xml", "text/html")


def parse_epub(data: bytes) -> Parsed:
    """Parse a book's chapters.

    Raises:
        UnreadableDocument: protected against copying, broken, or far too large when unpacked.
    """
    check_archive(data, ".epub")
    with reading(".epub"), zipfile.ZipFile(io.BytesIO(data)) as archive:
        if _RIGHTS in archive.namelist():
            raise UnreadableDocument("it is protected against copying (DRM)")
        title, chapters = _read_package(archive)
        texts = [parse_fragment(archive.read(chapter)).text.strip() for chapter in chapters]
    return Parsed("\n\n".join(text for text in texts if text) + "\n", title)


def _read_package(archive: zipfile.ZipFile) -> tuple[str, list[str]]:
    """Return the book's title and the names of its chapters' files."""
    from bs4 import BeautifulSoup

    root = BeautifulSoup(archive.read(_CONTAINER), "xml").find("rootfile")
    if root is None:
        raise ValueError("its container names no package")
    name = str(root["full-path"])
    package = BeautifulSoup(archive.read(name), "xml")
    items = {
        str(item["id"]): str(item["href"])
        for item in package.select("manifest > item")
        if item.get("media-type") in _CHAPTER_TYPES and "nav" not in str(item.get("properties", "")).split()
    }
    spine = [str(item.get("idref")) for item in package.select("spine > itemref")]
    folder = f"/{posixpath.dirname(name)}"
    places = (posixpath.join(folder, unquote(items[key])) for key in spine if key in items)
    # a place may be written with `..` in it
    return words_of(package.find("title")), [posixpath.normpath(place).removeprefix("/") for place in places]
