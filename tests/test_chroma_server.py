"""The real server with a real Chroma server, which comes, goes and comes back."""

import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest
import requests

from src.config import Config
from src.ingestion.vector_push import push_vectors
from src.rag.answer_writer import NO_VECTORS
from tests.chroma import Chroma
from tests.conftest import Server, corpus_places, serve, wait_until

QUESTION = "Do unused days of annual leave lapse or are they carried over?"
CLIENTS = 2
PAUSE_S = 0.2  # a person reads; without it the machine has no time to start anything


@pytest.fixture
def chroma(tmp_path: Path) -> Iterator[Chroma]:
    """A server that holds the index, and is stopped."""
    chroma = Chroma(tmp_path / "chroma")
    chroma.start()
    push_vectors(Config.from_env({**corpus_places(), "CHROMA_URL": chroma.url}))
    chroma.kill()
    yield chroma
    chroma.kill()


def is_up(server: Server) -> bool:
    return "\nrag_vectors_up 1.0\n" in server.get("/metrics").text


class Load:
    """Clients that ask new questions until the end."""

    def __init__(self, server: Server) -> None:
        self.server, self.found, self.failures = server, Counter[str](), list[str]()
        self._numbers, self._is_over = count(), threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(CLIENTS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        while not self._is_over.wait(PAUSE_S):
            try:
                body = self.server.ask(f"{QUESTION} {next(self._numbers)}")
            except requests.RequestException as exc:
                self.failures.append(repr(exc))
                return
            self.found[body["retrieval"]] += 1

    def wait_for(self, kind: str) -> None:
        """Wait until this kind of search is what comes, however many of the other kind come before."""
        self.found.clear()
        wait_until(lambda: self.failures or self.found[kind] > CLIENTS, f"searches are {kind}")


def test_server_that_comes_and_goes_fails_no_chat(tmp_path: Path, chroma: Chroma, server: Server) -> None:
    """Words answer, marked, while Chroma is away; its vectors do when it is there; the index has none on this host."""
    shutil.copytree(corpus_places()["INDEX_DIR"], tmp_path / "index", ignore=shutil.ignore_patterns("chroma_db"))
    environment = {"INDEX_DIR": str(tmp_path / "index"), "CHROMA_URL": chroma.url, "MAX_REQUESTS": "0"}
    with ExitStack() as stack:
        away = stack.enter_context(serve(tmp_path / "log", **environment))
        body = away.ask(QUESTION)
        assert (body["retrieval"], body["mode"], body["grounded"]) == ("lexical", "NORMAL", True)
        assert body["notice"] == NO_VECTORS
        assert away.get("/search", params={"q": QUESTION}).json()["retrieval"] == "lexical"
        ready = away.get("/ready").json()
        assert (ready["ready"], "does not answer" in ready["vectors_error"]) == (True, True)
        assert not is_up(away)
        load = stack.enter_context(Load(away))
        chroma.start()
        load.wait_for("hybrid")
        chroma.kill()
        load.wait_for("lexical")
        assert not is_up(away)
        chroma.start()
        load.wait_for("hybrid")
        assert load.failures == []
        assert is_up(away)
        assert away.get("/ready").json()["vectors_error"] is None
        here, there = server.ask(QUESTION), away.ask(QUESTION)
        assert there["retrieval"] == "hybrid"
        assert [source["chunk_id"] for source in here["sources"]] == [source["chunk_id"] for source in there["sources"]]
        assert here["answer"] == there["answer"]


def test_server_without_its_collection_says_what_to_run(tmp_path: Path, chroma: Chroma) -> None:
    """In the log and at /ready, once; the words answer."""
    chroma.folder = tmp_path / "empty"
    chroma.start()
    with serve(tmp_path / "log", CHROMA_URL=chroma.url, CHROMA_API_KEY="ck-secret") as server:
        assert server.ask(QUESTION)["retrieval"] == "lexical"
        assert "./run.sh build push" in server.get("/ready").json()["vectors_error"]
        log = server.log.read_text()
        assert log.count("Answering by words only") == 1
        assert "ck-secret" not in log
