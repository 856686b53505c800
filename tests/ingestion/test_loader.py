"""A folder becomes the same documents every time, and each file that does not is named with the reason."""

import hashlib
import os
from pathlib import Path

import pytest

from src.errors import BuildError
from src.ingestion import loader
from src.ingestion.loader import Skipped, list_files, load_document
from src.records import Document


def write(folder: Path, files: dict[str, bytes | str]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def load(folder: Path) -> tuple[dict[str, Document], dict[str, str]]:
    paths, skipped = list_files(folder)
    items = [*skipped, *(load_document(folder, path) for path in paths)]
    documents = {item.path: item for item in items if isinstance(item, Document)}
    return documents, {item.path: item.reason for item in items if isinstance(item, Skipped)}


def test_files_come_sorted_by_path_without_hidden_ones(tmp_path: Path) -> None:
    """The order is that of the paths, whatever the file system's is; hidden files are nobody's documents."""
    write(tmp_path, {"b/z.md": "z", "b.md": "b", "a b.txt": "a", ".hidden.md": "h", ".git/x.md": "x", "b/Y.md": "Y"})
    assert list_files(tmp_path) == (["a b.txt", "b.md", "b/Y.md", "b/z.md"], [])


def test_document_carries_the_hash_of_its_file(tmp_path: Path) -> None:
    """The hash is of the bytes, so that a changed file can be told."""
    write(tmp_path, {"a.md": b"one\r\n"})
    documents, _ = load(tmp_path)
    assert documents["a.md"].sha256 == hashlib.sha256(b"one\r\n").hexdigest()


@pytest.mark.parametrize(
    ("name", "text", "title"),
    [
        ("a.md", "---\ntitle: Front\n---\n# First\n", "Front"),
        ("a.md", "Words.\n\n## Sub *one* `x` {#id}\n\nText.\n", "Sub one x"),
        ("a.md", "```\n# not a heading\n```\n", "A"),
        ("a.html", "<h1>Of the page</h1>", "Of the page"),
        ("sick_leave-policy.txt", "# plain", "Sick leave policy"),
        ("travel/index.md", "Words.", "Travel"),
    ],
)
def test_title_comes_from_the_best_source_there_is(tmp_path: Path, name: str, text: str, title: str) -> None:
    """Front matter before the first heading, that before the file's name made readable."""
    write(tmp_path, {name: text})
    documents, _ = load(tmp_path)
    assert documents[name].title == title


def test_files_that_cannot_be_read_are_named_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left out silently, and the readable ones are there."""
    monkeypatch.setattr(loader, "MAX_FILE_BYTES", 1000)
    write(tmp_path, {"ok.md": "fine", "empty.md": "", "blank.md": " \n\n", "a.xyz": "?", "noext": "?"})
    write(tmp_path, {"large.txt": "x" * 1001, "broken.pdf": b"%PDF", "binary.txt": b"a\0b"})
    documents, skipped = load(tmp_path)
    assert list(documents) == ["ok.md"]
    assert skipped["empty.md"] == "it is empty"
    assert skipped["blank.md"] == "it holds no text"
    assert "no parser for .xyz" in skipped["a.xyz"]
    assert "no parser for files without an extension" in skipped["noext"]
    assert "larger than" in skipped["large.txt"]
    assert "broken" in skipped["broken.pdf"]
    assert "not text" in skipped["binary.txt"]


def test_links_are_followed_only_to_files_within_the_folder(tmp_path: Path) -> None:
    """A link can lead out of the folder, nowhere, or round in a circle."""
    folder = tmp_path / "documents"
    write(tmp_path, {"documents/sub/a.md": "a", "secret.md": "s"})
    for name, target in {
        "in.md": "sub/a.md",
        "out.md": "../secret.md",
        "gone.md": "nowhere.md",
        "self.md": "self.md",
        "sub/up": "..",
    }.items():
        (folder / name).symlink_to(target)
    documents, skipped = load(folder)
    assert list(documents) == ["in.md", "sub/a.md"]
    assert "out of the folder" in skipped["out.md"]
    assert "nowhere or in a circle" in skipped["gone.md"]
    assert "nowhere or in a circle" in skipped["self.md"]
    assert "link to a folder" in skipped["sub/up"]


def test_pipe_does_not_hang_the_build(tmp_path: Path) -> None:
    """Only regular files are opened."""
    os.mkfifo(tmp_path / "pipe.md")
    assert load(tmp_path)[1] == {"pipe.md": "it is not a regular file"}


def test_name_that_is_not_utf8_is_skipped(tmp_path: Path) -> None:
    """Such a name could not be put into an answer."""
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.md")).write_text("x")
    assert load(tmp_path)[1] == {"caf\\xe9.md": "its name is not valid UTF-8; rename it"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission_is_skipped(tmp_path: Path) -> None:
    """A file that may not be opened is named."""
    write(tmp_path, {"a.md": "a"})
    (tmp_path / "a.md").chmod(0)
    assert "cannot be opened" in load(tmp_path)[1]["a.md"]


def test_file_that_goes_while_the_folder_is_read_is_skipped(tmp_path: Path) -> None:
    """A folder may change under the build."""
    write(tmp_path, {"a.md": "a", "b.md": "b"})
    paths, _ = list_files(tmp_path)
    (tmp_path / "b.md").unlink()
    read, gone = (load_document(tmp_path, path) for path in paths)
    assert isinstance(read, Document)
    assert isinstance(gone, Skipped)


def test_missing_folder_is_named(tmp_path: Path) -> None:
    """The message says which folder and what sets it."""
    with pytest.raises(BuildError, match=r"no folder .*nowhere.*DOCUMENTS_DIR"):
        list_files(tmp_path / "nowhere")


def test_links_lead_to_addresses_and_to_files_of_the_folder(tmp_path: Path) -> None:
    """What is written out is a link too; what leads out of the folder or runs is none."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.md").write_text(
        "[One](../c.md#x), [two](/d%20e.md), [three](f), [no](javascript:g), <https://h.example>, https://i.example/j.\n"
    )
    document = load_document(tmp_path, "a/b.md")
    assert isinstance(document, Document)
    assert [(document.text[start:end], target) for start, end, target in document.links] == [
        ("One", "c.md"),
        ("two", "d e.md"),
        ("three", "a/f"),
        ("https://h.example", "https://h.example"),
        ("https://i.example/j", "https://i.example/j"),
    ]
