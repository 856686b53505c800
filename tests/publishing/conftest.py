"""What the tests of publishing share: the corpus's index published in a folder, and the command in this process."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import build_embeddings
from src.publishing import download
from tests.conftest import corpus_places
from tests.publishing.file_server import FileServer, serve_files
from tests.publishing.published import Done, Published


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Done]:
    """Run build_embeddings.py with tmp_path/data/index as the index, and pauses that take no time."""
    monkeypatch.setattr(download, "FIRST_PAUSE_S", 0.0)
    places = {**corpus_places(), "INDEX_DIR": str(tmp_path / "data" / "index")}

    def call(*arguments: str, **environment: str) -> Done:
        with monkeypatch.context() as patch:
            for name, value in {**places, **environment}.items():
                patch.setenv(name, value)
            code = build_embeddings.main(arguments)
        return Done(code, *capsys.readouterr())

    return call


@pytest.fixture
def published(run: Callable[..., Done], tmp_path: Path) -> Published:
    """The corpus's index, published."""
    folder = tmp_path / "published"
    done = run("publish", str(folder), INDEX_DIR=corpus_places()["INDEX_DIR"])
    assert (done.code, done.err) == (0, "")
    lines = dict(line.split("=", 1) for line in done.out.splitlines())
    return Published(folder, Path(lines["INDEX_URL"]), lines)


@pytest.fixture
def files(published: Published) -> Iterator[FileServer]:
    """A web server over the published index."""
    with serve_files(published.folder) as server:
        yield server


@pytest.fixture
def old_index(tmp_path: Path) -> Path:
    """An index of another fingerprint in the place of the new one."""
    index_dir = tmp_path / "data" / "index"
    shutil.copytree(corpus_places()["INDEX_DIR"], index_dir)
    manifest = index_dir / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"texts_sha256": "', '"texts_sha256": "0'))
    return index_dir
