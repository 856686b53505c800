"""Damage is found and named before anything opens the damaged file, and the next build cures it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from src.artifacts import CHECKSUMS_FILE, Manifest
from src.config import Config
from src.errors import ArtifactError
from src.ingestion import index_check
from src.ingestion.index_builder import build_index
from src.ingestion.index_check import check_parts
from tests.conftest import ROOT
from tests.ingestion.conftest import build_settings

# One in sixteen chunks has upper links, so that link_lists.bin is not empty.
PAGES = 60
FILES = ["data_level0.bin", "header.bin", "length.bin", "link_lists.bin", "chroma.sqlite3", "lexical.sqlite3"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, model_dir: Path) -> Path:
    """A folder with documents and their index, built once."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "documents").mkdir()
    for number in range(PAGES):
        (folder / "documents" / f"{number:02}.md").write_text(f"Room {number} seats {3 * number + 4} people.\n")
    build_index(Config.from_env(build_settings(folder, model_dir)))
    return folder


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    """A copy of it that may be damaged."""
    return Path(shutil.copytree(built, tmp_path / "copy"))


def run(folder: Path, model_dir: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command in a process of its own, which a crash of the engine would end by a signal."""
    command = [sys.executable, "build_embeddings.py", *arguments]
    environment = {**os.environ, **build_settings(folder, model_dir)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def write_zeros(path: Path) -> None:
    """Do as a bad block does: zeros in the middle, the size as it was."""
    data = path.read_bytes()
    quarter = len(data) // 4
    path.write_bytes(data[:quarter] + bytes(len(data) - 2 * quarter) + data[-quarter:])
    assert path.read_bytes() != data


@pytest.mark.parametrize("name", FILES)
def test_verify_names_the_file_with_a_damaged_block(folder: Path, model_dir: Path, name: str) -> None:
    """Its size tells nothing, and to open it can crash the engine, so its sum is taken first."""
    [path] = (folder / "data" / "index").rglob(name)
    write_zeros(path)
    result = run(folder, model_dir, "verify")
    assert (result.returncode, result.stdout) == (1, "")
    assert f"{name} is damaged" in result.stderr
    assert "./run.sh build" in result.stderr


def test_build_cures_a_damaged_graph(folder: Path, model_dir: Path) -> None:
    """It neither takes the index for whole nor reads embeddings from it."""
    [path] = (folder / "data" / "index").rglob("link_lists.bin")
    write_zeros(path)
    assert run(folder, model_dir).returncode == 0
    result = run(folder, model_dir, "verify")
    assert (result.returncode, result.stderr) == (0, "")
    assert "is whole: 60 documents, 60 chunks" in result.stdout


def test_changed_word_in_the_texts_is_found(folder: Path, model_dir: Path) -> None:
    """SQLite's own check passes it."""
    path = folder / "data" / "index" / "lexical.sqlite3"
    path.write_bytes(path.read_bytes().replace(b"seats 10 people", b"seats 99 people"))
    result = run(folder, model_dir, "verify")
    assert result.returncode == 1
    assert "lexical.sqlite3 is damaged" in result.stderr


def _promise_a_file(index_dir: Path) -> None:
    (index_dir / CHECKSUMS_FILE).write_text((index_dir / CHECKSUMS_FILE).read_text() + f"{'0' * 64}  chroma_db/x.bin\n")


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (lambda index: (index / CHECKSUMS_FILE).unlink(), "SHA256SUMS cannot be read"),
        (lambda index: (index / CHECKSUMS_FILE).write_text(""), "does not name it"),
        (lambda index: (index / "chroma_db" / "stray.bin").write_text("?"), "chroma_db/stray.bin is not of this index"),
        (_promise_a_file, "chroma_db/x.bin is missing"),
    ],
)
def test_sums_and_files_must_be_the_same_set(
    folder: Path, model_dir: Path, harm: Callable[[Path], object], problem: str
) -> None:
    """An index without its sums could hide anything."""
    harm(folder / "data" / "index")
    result = run(folder, model_dir, "verify")
    assert result.returncode == 1
    assert problem in result.stderr
    assert "./run.sh build" in result.stderr


def test_sums_are_what_sha256sum_reads(folder: Path) -> None:
    """A person without Python can check an index too."""
    if shutil.which("sha256sum") is None:
        pytest.skip("there is no sha256sum here")
    command = ["sha256sum", "--check", "--strict", "--quiet", CHECKSUMS_FILE]
    assert subprocess.run(command, cwd=folder / "data" / "index", check=False).returncode == 0


def test_embeddings_of_another_build_are_found(folder: Path, model_dir: Path) -> None:
    """The sums tell that the bytes are those of the build; the manifest tells which embeddings they must be."""
    manifest = Manifest.load(folder / "data" / "index")
    other = replace(manifest.results, embeddings_sha256="0" * 64)
    with pytest.raises(ArtifactError, match="the embeddings have changed"):
        check_parts(folder / "data" / "index", replace(manifest, results=other))


@pytest.mark.parametrize(("strangers", "is_whole"), [(2, True), (3, False)])
def test_some_chunks_may_not_find_themselves(
    built: Path, model_dir: Path, monkeypatch: pytest.MonkeyPatch, strangers: int, is_whole: bool
) -> None:
    """The graph is searched approximately, so 18 of 20 do; fewer tell that model and index do not go together."""
    others = ["00.md", "03.md", "06.md"][:strangers]
    text_of = index_check.embedding_text
    monkeypatch.setattr(
        index_check, "embedding_text", lambda chunk: "The tide is out." if chunk.document in others else text_of(chunk)
    )
    index_dir = built / "data" / "index"
    if is_whole:
        assert index_check.check_canaries(index_dir, model_dir) == (18, 20)
    else:
        with pytest.raises(ArtifactError, match=r"3 of 20 chunks are not found by their own text: \['00\.md#0'"):
            index_check.check_canaries(index_dir, model_dir)


def test_chunks_of_documents_in_many_copies_find_themselves(tmp_path: Path, model_dir: Path) -> None:
    """Each version of a manual repeats the page, so another copy of a chunk's text is the chunk itself."""
    for version in range(8):
        (tmp_path / "documents" / f"v{version}").mkdir(parents=True)
        for page in ("Leave", "Travel", "Fees"):
            text = f"# {page}\n\n{page} is settled with your manager.\n"
            (tmp_path / "documents" / f"v{version}" / f"{page}.md").write_text(text)
    build_index(Config.from_env(build_settings(tmp_path, model_dir)))
    assert index_check.check_canaries(tmp_path / "data" / "index", model_dir) == (12, 12)
