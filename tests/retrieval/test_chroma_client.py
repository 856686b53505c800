"""Chroma's public client: what it writes, and a Chroma server asked over HTTP."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests

from src.errors import IndexCorrupt, ServiceUnavailable
from src.records import Filters
from src.retrieval.chroma_client import ChromaServer
from src.retrieval.vector_store import VECTORS_DIR, VectorStore, create_vectors
from tests.conftest import free_port, wait_until
from tests.fakes import WordEncoder
from tests.retrieval.corpus import CHUNKS


@pytest.fixture(scope="module")
def chroma_url(index_dir: Path) -> Iterator[str]:
    port = free_port()
    command = Path(sys.executable).with_name("chroma")
    process = subprocess.Popen(
        [command, "run", "--path", index_dir / VECTORS_DIR, "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return requests.get(f"{url}/api/v2/heartbeat", timeout=5).ok
        except requests.ConnectionError:
            return False

    try:
        wait_until(answers, "the Chroma server answers", 60)
        yield url
    finally:
        process.terminate()
        process.wait()


def test_server_gives_what_the_embedded_store_gives(chroma_url: str, index_dir: Path) -> None:
    """With CHROMA_URL the answers are the same."""
    question = WordEncoder().embed(["unused days of holiday"])[0]
    store = VectorStore.open(index_dir, len(CHUNKS))
    server = ChromaServer.connect(chroma_url, len(CHUNKS))
    for filters in (Filters(), Filters(("server.md",))):
        here, there = store.search(question, 3, filters), server.search(question, 3, filters)
        assert [hit.chunk_id for hit in here] == [hit.chunk_id for hit in there]
        assert [hit.score for hit in here] == pytest.approx([hit.score for hit in there], abs=1e-5)
    store.close()


def test_server_with_another_index_is_refused(chroma_url: str) -> None:
    """A server that holds another build does not go with these texts."""
    with pytest.raises(IndexCorrupt, match="the manifest says 5"):
        ChromaServer.connect(chroma_url, 5)


def test_server_that_is_not_there_is_a_503_that_says_so() -> None:
    """The person learns which variable to look at."""
    with pytest.raises(ServiceUnavailable, match="CHROMA_URL"):
        ChromaServer.connect(f"http://127.0.0.1:{free_port()}", len(CHUNKS))


def test_environment_does_not_reach_chroma(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chroma reads names such as MIGRATIONS from the environment and from .env; ours are not for it."""
    (tmp_path / ".env").write_text("MIGRATIONS=none\nPORT=8000\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIGRATIONS", "validate")
    monkeypatch.setenv("PERSIST_DIRECTORY", str(tmp_path / "elsewhere"))
    create_vectors(tmp_path, ["a#0"], ["a"], np.eye(1, 8, dtype=np.float32))
    assert not (tmp_path / "elsewhere").exists()
