"""`push` and `prune` against a real Chroma server."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import build_embeddings
from src.artifacts import Manifest
from src.checksums import write_checksums
from src.config import Config
from src.errors import BuildError, ConfigError, VectorsUnavailable
from src.ingestion import vector_push
from src.ingestion.vector_push import prune_vectors, push_vectors
from src.records import Filters
from src.retrieval.chroma_server import ChromaServer
from src.retrieval.server_vectors import ServerVectors
from src.retrieval.vector_store import VectorStore, iter_embeddings
from tests.chroma import Chroma, Proxy, run_chroma, run_proxy
from tests.conftest import corpus_places


@pytest.fixture(scope="module")
def chroma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chroma]:
    with run_chroma(tmp_path_factory.mktemp("chroma")) as running:
        yield running


@pytest.fixture
def proxy(chroma: Chroma) -> Iterator[Proxy]:
    """A way to an empty server."""
    with run_proxy(chroma.url) as running:
        empty(Config.from_env({"CHROMA_URL": running.url}))
        running.seen.clear()
        yield running


def empty(config: Config) -> None:
    server = ChromaServer(config, 30, 0)
    for name in list(server.iter_names()):
        server.discard(name)
    server.close()


def names(config: Config) -> list[str]:
    server = ChromaServer(config, 30, 0)
    found = sorted(server.iter_names())
    server.close()
    return found


def config_for(proxy: Proxy, index_dir: str | Path | None = None, **environment: str) -> Config:
    places = {**corpus_places(), **({"INDEX_DIR": str(index_dir)} if index_dir else {})}
    return Config.from_env({**places, "CHROMA_URL": proxy.url, **environment})


def make_other_index(folder: Path) -> Path:
    """Copy the corpus's index and give it another fingerprint."""
    shutil.copytree(corpus_places()["INDEX_DIR"], folder)
    manifest = Manifest.load(folder)
    replace(manifest, results=replace(manifest.results, relevance_floors=(0.1, 0.2))).save(folder)
    write_checksums(folder)
    return folder


def search(config: Config) -> list[str]:
    """Ask the server as a process that serves this index does, for the first chunk by its own embedding."""
    manifest = Manifest.load(config.index_dir)
    rows = next(iter_embeddings(config.index_dir, ["welcome.md#0"]))
    vectors = ServerVectors(config, manifest.fingerprint, manifest.results.chunks)
    store = VectorStore.open(config.index_dir, manifest.results.chunks)
    found, expected = (one.search(rows[0], 10, Filters(("welcome.md", "money/travel.md"))) for one in (vectors, store))
    vectors.close()
    store.close()
    assert [hit.chunk_id for hit in found] == [hit.chunk_id for hit in expected]
    return [hit.chunk_id for hit in found]


def test_pushed_index_is_served_and_pushing_again_sends_nothing(proxy: Proxy) -> None:
    """The same chunks as at home, each with its document."""
    config = config_for(proxy)
    assert "is complete on the server" in push_vectors(config)
    assert search(config)[0] == "welcome.md#0"
    proxy.seen.clear()
    assert "Nothing is sent" in push_vectors(config)
    assert {line.split()[0] for line in proxy.seen} == {"GET"}


def test_push_that_broke_off_goes_on_where_it_was(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it is whole, nobody who serves finds it; the last batch that came through is sent once more."""
    monkeypatch.setattr(vector_push, "ROWS_PER_WRITE", 2)
    config = config_for(proxy)
    chunks = Manifest.load(config.index_dir).results.chunks
    proxy.writes_left = 2
    with pytest.raises(VectorsUnavailable, match="quota exceeded"):
        push_vectors(config)
    with pytest.raises(VectorsUnavailable, match="has no collection"):
        search(config)
    proxy.writes_left = None
    assert f"{chunks - 2:,} of {chunks:,} chunks sent" in push_vectors(config)
    assert search(config)[0] == "welcome.md#0"


def test_two_indexes_lie_side_by_side_until_one_is_pruned(proxy: Proxy, tmp_path: Path) -> None:
    """Old and new servers work at once; `prune` removes what is of this project, complete or not, and nothing else."""
    old, new = config_for(proxy), config_for(proxy, make_other_index(tmp_path / "index"))
    push_vectors(old)
    with pytest.raises(BuildError, match="is not complete on the server"):
        prune_vectors(new)
    push_vectors(new)
    assert search(old) == search(new)
    server = ChromaServer(old, 30, 0)
    for name in ("rag512-notes", half := f"rag512-{'0' * 16}-filling"):
        server.create(name)
    server.close()
    own, other = (f"rag512-{Manifest.load(config.index_dir).fingerprint}" for config in (new, old))
    assert len(names(new)) == 4
    said = prune_vectors(new)
    assert names(new) == sorted([own, "rag512-notes"])
    assert said == f"{own} stays. Removed: {', '.join(sorted([other, half]))}."


def test_names_are_read_page_by_page(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """No collection is missed, however many there are."""
    monkeypatch.setattr("src.retrieval.chroma_server.NAMES_PER_PAGE", 2)
    server = ChromaServer(config_for(proxy), 30, 0)
    for name in ("one", "two", "three", "four"):
        server.create(name)
    assert sorted(server.iter_names()) == ["four", "one", "three", "two"]
    server.close()


@pytest.mark.parametrize("command", ["push", "prune"])
def test_commands_say_what_is_wrong_in_one_line(
    proxy: Proxy, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No server set; a wrong key."""
    for name, value in corpus_places().items():
        monkeypatch.setenv(name, value)
    assert build_embeddings.main([command]) == 1
    assert "CHROMA_URL is not set" in capsys.readouterr().err
    proxy.key = "ck-right"
    monkeypatch.setenv("CHROMA_URL", proxy.url)
    assert build_embeddings.main([command]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    monkeypatch.setenv("CHROMA_API_KEY", "ck-right")
    assert build_embeddings.main(["push"]) == 0


def test_damaged_index_is_not_pushed(proxy: Proxy, tmp_path: Path) -> None:
    """What is wrong stays at home."""
    folder = make_other_index(tmp_path / "index")
    path = next(folder.rglob("chroma.sqlite3"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(Exception, match="is damaged"):
        push_vectors(config_for(proxy, folder))
    assert proxy.seen == []


def test_server_is_required() -> None:
    """There is no default server."""
    with pytest.raises(ConfigError, match="CHROMA_URL"):
        push_vectors(Config.from_env(corpus_places()))
