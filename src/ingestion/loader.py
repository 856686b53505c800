"""From a folder of files to documents, in an order that is always the same. A file that cannot be read is named."""

import hashlib
import os
import posixpath
import re
import stat
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from src.errors import BuildError, UnreadableDocument
from src.ingestion.outline import Outline
from src.ingestion.parsers import PARSERS
from src.ingestion.parsers.parsed import Link, Parsed
from src.records import Document, is_plain
from src.retrieval.text_store import WEB_ADDRESSES

MAX_FILE_BYTES = 50_000_000
MAX_TITLE_CHARS = 120
FORMATS = " ".join(PARSERS)
_ADDRESS = re.compile(r"https?://[^\s<>\"'`|]*[^\s<>\"'`|.,;:!?)\]]")
_ANONYMOUS_NAMES = frozenset({"index", "readme"})


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is not in the index, and why."""

    path: str
    reason: str


def list_files(folder: Path) -> tuple[list[str], list[Skipped]]:
    """List the files below the folder by relative path, sorted, and what is none that can be opened.

    Hidden files are left out; links to folders and out of the folder are not followed.

    Raises:
        BuildError: there is no such folder.
    """
    if not folder.is_dir():
        raise BuildError(
            f"There is no folder {folder}. Put your documents there, or set DOCUMENTS_DIR to where they are."
        )
    paths: list[str] = []
    skipped: list[Skipped] = []
    root = folder.resolve()
    failures: list[OSError] = []
    for directory, names, files in os.walk(folder, onerror=failures.append):
        names[:] = [name for name in names if not name.startswith(".")]
        links = [name for name in names if Path(directory, name).is_symlink()]
        for path in (Path(directory, name) for name in [*files, *links] if not name.startswith(".")):
            hindrance = _find_hindrance(path, root)
            if hindrance:
                skipped.append(Skipped(_relative(path, folder), hindrance))
            else:
                paths.append(_relative(path, folder))
    for error in failures:
        path = Path(error.filename)
        skipped.append(Skipped(_relative(path, folder), f"the folder cannot be listed: {error.strerror}"))
    return sorted(paths), skipped


def load_document(folder: Path, path: str) -> Document | Skipped:
    """Read one file, given by its path relative to the folder."""
    try:
        data = read_file(folder, path)
        parsed = PARSERS[PurePosixPath(path).suffix.lower()](data)
    except UnreadableDocument as exc:
        return Skipped(path, str(exc))
    if not parsed.text.strip():
        return Skipped(path, "it holds no text")
    title = parsed.title or _first_heading(parsed.text, path) or _title_of_name(path)
    links = tuple((start, end, target) for start, end, href in _all_links(parsed) if (target := _resolve(path, href)))
    digest = hashlib.sha256(data).hexdigest()
    return Document(path, title[:MAX_TITLE_CHARS].strip(), parsed.text, digest, parsed.page_starts, links)


def _all_links(parsed: Parsed) -> list[Link]:
    """Return the file's links, and the addresses that are written out in its text."""
    inside = [start for start, _, _ in parsed.links]
    written = [
        (*found.span(), found[0])
        for found in _ADDRESS.finditer(parsed.text)
        if not (place := bisect_right(inside, found.start())) or parsed.links[place - 1][1] <= found.start()
    ]
    return sorted([*parsed.links, *written])


def _resolve(path: str, href: str) -> str:
    """Return where a document's link leads: an address, or a path in the folder; "" for anything else."""
    if href.lower().startswith(WEB_ADDRESSES):
        scheme, colon, rest = href.partition(":")
        return scheme.lower() + colon + rest
    try:
        parts = urlsplit(href)
    except ValueError:
        return ""
    if parts.scheme or parts.netloc or not parts.path:
        return ""
    target = unquote(parts.path)
    folder = "" if target.startswith("/") else posixpath.dirname(path)
    return posixpath.normpath(posixpath.join(folder, target.lstrip("/")))


def _find_hindrance(path: Path, root: Path) -> str:
    """Say why a file of the folder is not to be opened; "" where it is."""
    try:
        path.as_posix().encode()
        target = path.resolve(strict=True)
        mode = target.stat().st_mode
    except UnicodeEncodeError:
        return "its name is not valid UTF-8; rename it"
    except (OSError, RuntimeError):
        return "it is a link that leads nowhere or in a circle"
    if not target.is_relative_to(root):
        return "it is a link that leads out of the folder"
    if stat.S_ISDIR(mode):
        return "it is a link to a folder, which is not followed"
    return "" if stat.S_ISREG(mode) else "it is not a regular file"


def _relative(path: Path, folder: Path) -> str:
    return os.fsencode(path.relative_to(folder).as_posix()).decode("utf-8", "backslashreplace")


def read_file(folder: Path, path: str) -> bytes:
    """Read the bytes of a file that there is a parser for.

    Raises:
        UnreadableDocument: there is none; or the file cannot be opened, is too large, or is empty.
    """
    suffix = PurePosixPath(path).suffix.lower()
    if suffix not in PARSERS:
        raise UnreadableDocument(f"there is no parser for {suffix or 'files without an extension'}; known: {FORMATS}")
    try:
        with (folder / path).open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as exc:
        raise UnreadableDocument(f"it cannot be opened: {exc.strerror}") from exc
    if len(data) > MAX_FILE_BYTES:
        raise UnreadableDocument(f"it is larger than {MAX_FILE_BYTES // 1_000_000} MB; split it")
    if not data:
        raise UnreadableDocument("it is empty")
    return data


def _first_heading(text: str, path: str) -> str:
    headings = [] if is_plain(path) else Outline.parse(text).headings()
    return headings[0].title if headings else ""


def _title_of_name(path: str) -> str:
    pure = PurePosixPath(path)
    anonymous = pure.stem.lower() in _ANONYMOUS_NAMES and pure.parent.name
    name = pure.parent.name if anonymous else pure.stem
    words = " ".join(re.split(r"[-_\s]+", name)).strip()
    return words[:1].upper() + words[1:] if words else name
