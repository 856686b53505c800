"""What `publish` writes, and what it prints."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from src.artifacts import Manifest
from tests.conftest import ROOT, corpus_places
from tests.publishing.published import Done, Published, all_bytes, corpus_index


def test_archive_is_named_after_its_index_and_lies_beside_its_sum(published: Published) -> None:
    """The two lines name what is there, and `sha256sum -c` accepts the file beside it."""
    fingerprint = Manifest.load(corpus_index()).fingerprint
    assert published.archive == published.folder / f"index-{fingerprint}.tar.gz"
    assert published.lines["INDEX_SHA256"] == hashlib.sha256(published.archive.read_bytes()).hexdigest()
    assert sorted(all_bytes(published.folder)) == [published.archive.name, published.archive.name + ".sha256"]
    subprocess.run(
        ["sha256sum", "-c", published.archive.name + ".sha256"], cwd=published.folder, check=True, capture_output=True
    )


def test_publishing_again_writes_nothing_and_prints_the_same(published: Published, run: Callable[..., Done]) -> None:
    """Who has set the sum of an archive keeps it."""
    before = {path: path.stat().st_mtime_ns for path in published.folder.iterdir()}
    done = run("publish", str(published.folder), INDEX_DIR=str(corpus_index()))
    assert dict(line.split("=", 1) for line in done.out.splitlines()) == published.lines
    assert {path: path.stat().st_mtime_ns for path in published.folder.iterdir()} == before


def test_half_a_publication_is_finished(published: Published, run: Callable[..., Done]) -> None:
    """An archive without its sum was not published; one index gives one archive, to the byte."""
    before = all_bytes(published.folder)
    published.archive.with_name(published.archive.name + ".sha256").unlink()
    published.archive.write_bytes(b"half")
    assert run("publish", str(published.folder), INDEX_DIR=str(corpus_index())).code == 0
    assert all_bytes(published.folder) == before


def test_damaged_index_is_not_published(old_index: Path, run: Callable[..., Done], tmp_path: Path) -> None:
    """Nobody fetches what cannot be served."""
    done = run("publish", str(tmp_path / "there"))
    assert (done.code, done.out) == (1, "")
    assert "manifest.json is damaged" in done.err
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize("where", ["https://example.org/indexes", "ftp://example.org"])
def test_place_that_takes_nothing_is_one_line_that_names_what_does(where: str, run: Callable[..., Done]) -> None:
    """A web server only gives."""
    done = run("publish", where, INDEX_DIR=str(corpus_index()))
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "Name a folder, or s3://bucket/folder" in done.err


def test_fetch_needs_only_what_the_server_needs(published: Published, tmp_path: Path) -> None:
    """It runs in a host's build command, where requirements.txt is installed and nothing else."""
    code = "import sys, build_embeddings; code = build_embeddings.main(['fetch']);"
    code += "print(sorted({'numpy', 'chromadb', 'onnxruntime', 'tokenizers', 'obstore'} & set(sys.modules)));"
    code += "build = {'tqdm', 'pebble', 'semantic_text_splitter', 'nupunkt'}; print(sorted(build & set(sys.modules)))"
    env = {**corpus_places(), "INDEX_DIR": str(tmp_path / "index"), **published.lines}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == ["[]", "[]"]
    assert (tmp_path / "index" / "manifest.json").exists()
