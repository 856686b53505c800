"""The vectors on a real Chroma server: the same hits as from the store at hand, and one clear line where they fail."""

import logging
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from src.config import Config
from src.errors import VectorsUnavailable
from src.records import Filters
from src.retrieval import server_vectors
from src.retrieval.chroma_server import ChromaServer, name_collection
from src.retrieval.server_vectors import ServerVectors
from src.retrieval.vector_store import VectorStore
from tests.chroma import Chroma, Proxy, run_chroma, run_proxy
from tests.conftest import free_port, wait_until
from tests.fakes import WordEncoder
from tests.retrieval.corpus import CHUNKS

QUESTION = WordEncoder().embed(["unused days of holiday"])[0]


@pytest.fixture(scope="module")
def chroma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chroma]:
    """A server with the corpus as the index `f`, and with half of it as the index `half`."""
    with run_chroma(tmp_path_factory.mktemp("chroma")) as running:
        server = ChromaServer(Config.from_env({"CHROMA_URL": running.url}), 30, 0)
        for fingerprint, chunks in (("f", CHUNKS), ("half", CHUNKS[:2])):
            rows = WordEncoder().embed([f"{chunk.title} {chunk.text}" for chunk in chunks])
            ids, paths = [chunk.chunk_id for chunk in chunks], [chunk.document for chunk in chunks]
            server.upsert(server.create(name_collection(fingerprint)), ids, paths, rows)
        server.close()
        yield running


@pytest.fixture
def proxy(chroma: Chroma) -> Iterator[Proxy]:
    with run_proxy(chroma.url) as running:
        yield running


def open_at(url: str, fingerprint: str = "f", **environment: str) -> ServerVectors:
    return ServerVectors(Config.from_env({"CHROMA_URL": url, **environment}), fingerprint, len(CHUNKS))


def test_server_gives_what_the_embedded_store_gives(chroma: Chroma, index_dir: Path) -> None:
    """With CHROMA_URL the answers are the same."""
    store, server = VectorStore.open(index_dir, len(CHUNKS)), open_at(chroma.url)
    for filters in (Filters(), Filters(("server.md",)), Filters(("nobody.md",))):
        here, there = store.search(QUESTION, 2, filters), server.search(QUESTION, 2, filters)
        assert [hit.chunk_id for hit in here] == [hit.chunk_id for hit in there]
        assert [hit.score for hit in here] == pytest.approx([hit.score for hit in there], abs=1e-5)
    assert server.problem is None
    server.close()
    store.close()


@pytest.mark.parametrize(("fingerprint", "problem"), [("none", "has no collection"), ("half", "holds 2 chunks")])
def test_missing_or_incomplete_collection_names_the_command(chroma: Chroma, fingerprint: str, problem: str) -> None:
    """The person learns what to run."""
    server = open_at(chroma.url, fingerprint)
    with pytest.raises(VectorsUnavailable, match=rf"{problem}.*\./run\.sh build push"):
        server.search(QUESTION, 3, Filters())
    assert f"rag512-{fingerprint}" in str(server.problem)
    server.close()


def test_key_is_sent_and_a_wrong_one_is_named(proxy: Proxy) -> None:
    """As Chroma Cloud wants it; the key itself is in no message."""
    proxy.key = "ck-right"
    right, wrong = (open_at(proxy.url, CHROMA_API_KEY=key) for key in ("ck-right", "ck-wrong"))
    assert right.search(QUESTION, 3, Filters())
    with pytest.raises(VectorsUnavailable, match=r"refuses the key.*CHROMA_API_KEY") as raised:
        wrong.search(QUESTION, 3, Filters())
    assert "ck-" not in str(raised.value)
    right.close()
    wrong.close()


def test_tenant_and_database_are_asked_for(proxy: Proxy) -> None:
    """A name with a slash stays one name."""
    server = open_at(proxy.url, CHROMA_TENANT="ten/ant", CHROMA_DATABASE="base")
    with pytest.raises(VectorsUnavailable):
        server.search(QUESTION, 3, Filters())
    assert proxy.seen == ["GET /api/v2/tenants/ten%2Fant/databases/base/collections/rag512-f"]
    server.close()


def test_server_that_hangs_is_given_up_after_one_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """It accepts and never answers: two waits of the limit, and none for the next questions, which try again."""
    monkeypatch.setattr(server_vectors, "PAUSE_S", 0.0)
    monkeypatch.setattr(server_vectors, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = open_at(f"http://127.0.0.1:{silent.getsockname()[1]}")
        waits_s = []
        for _ in range(3):
            started = time.monotonic()
            with pytest.raises(VectorsUnavailable, match="does not answer"):
                server.search(QUESTION, 3, Filters())
            waits_s.append(time.monotonic() - started)
        server.close()
    assert waits_s[0] >= 0.4
    assert max(waits_s[1:]) < 0.2


def test_server_that_comes_back_is_found_after_the_pause(
    chroma: Chroma, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody waits for the trial; the log says once that it is away and once that it answers again."""
    now = SimpleNamespace(s=0.0)
    server = open_at(f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr(server_vectors, "time", SimpleNamespace(monotonic=lambda: now.s))
    with caplog.at_level(logging.WARNING, "src"):
        for now.s in (0.0, 2.9):
            with pytest.raises(VectorsUnavailable):
                server.search(QUESTION, 3, Filters())
        server._server = open_at(chroma.url)._server
        now.s = 6.0
        with pytest.raises(VectorsUnavailable, match="does not answer"):
            server.search(QUESTION, 3, Filters())
        wait_until(lambda: server.problem is None, "the trial has found the server")
        assert server.search(QUESTION, 3, Filters())
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "Answering by words only", "The vectors answer again."
    ]  # fmt: skip
    server.close()


def test_collection_that_was_pushed_again_is_found(chroma: Chroma) -> None:
    """It has the same name and another id."""
    api = ChromaServer(Config.from_env({"CHROMA_URL": chroma.url}), 30, 0)
    server = open_at(chroma.url, "again")
    rows = WordEncoder().embed([chunk.text for chunk in CHUNKS])
    ids, paths = [chunk.chunk_id for chunk in CHUNKS], [chunk.document for chunk in CHUNKS]
    for _ in range(2):
        api.discard("rag512-again")
        api.upsert(api.create("rag512-again"), ids, paths, rows)
        assert server.search(QUESTION, 3, Filters())
    api.close()
    server.close()


def test_request_that_is_refused_stops_no_others(chroma: Chroma) -> None:
    """Only a server that is away is left alone for a while."""
    server = open_at(chroma.url)
    with pytest.raises(VectorsUnavailable, match=r"refuses a request .*dimension"):
        server.search(QUESTION[:7], 3, Filters())
    assert server.search(QUESTION, 3, Filters())
    server.close()


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b"null", b'{"id": 1}'])
def test_what_is_no_chroma_server_is_a_clear_line(proxy: Proxy, body: bytes) -> None:
    """An address of something else ends in no stack trace."""
    proxy.body = body
    server = open_at(proxy.url)
    with pytest.raises(VectorsUnavailable, match="CHROMA_URL"):
        server.search(QUESTION, 3, Filters())
    server.close()
