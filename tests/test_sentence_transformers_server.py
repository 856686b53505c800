"""A server whose questions sentence-transformers embeds, for comparisons where memory is plenty."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from src.app_factory import create_app
from src.config import Config
from src.errors import ConfigError
from tests.conftest import ROOT, serve, wait_until

QUESTION = "How many days of annual leave do employees get?"
BACKEND = {"EMBEDDING_BACKEND": "sentence-transformers"}


def test_too_little_memory_is_refused_with_the_figure() -> None:
    """512 MB end in a server that answers nothing; the start says so."""
    config = replace(Config.from_env({}), embedding_backend="sentence-transformers", memory_limit_mb=512)
    with pytest.raises(ConfigError, match=r"needs 640 MB\. This server may use 512 MB.*or use onnx"):
        create_app(config)


def test_start_without_memory_for_it_ends_in_words(tmp_path: Path) -> None:
    """The log of the host shows the cure."""
    command = [sys.executable, "-c", "import app"]
    done = subprocess.run(command, cwd=ROOT, env={**BACKEND, "PATH": ""}, capture_output=True, text=True)
    assert done.returncode == 1
    assert "needs 640 MB" in done.stderr.splitlines()[-1]


def test_other_model_than_the_indexs_is_refused(tmp_path: Path) -> None:
    """Its embeddings have as many dimensions, and nothing would be found."""
    name = "paraphrase-MiniLM-L3-v2"
    with serve(tmp_path / "log", MEMORY_LIMIT_MB="4096", EMBEDDING_MODEL_NAME=name, **BACKEND) as server:
        response = server.post("/chat", {"message": QUESTION})
        assert response.status_code == 503
        error = response.json()["error"]
        assert error["code"] == "index_unusable"
        assert "EMBEDDING_MODEL_NAME is sentence-transformers/paraphrase-MiniLM-L3-v2" in error["message"]


@pytest.mark.export
def test_it_answers_as_the_exported_model_does(tmp_path: Path) -> None:
    """The same passages, because the export ranks alike."""
    with serve(tmp_path / "onnx", MAX_REQUESTS="0") as server:
        expected = [source["chunk_id"] for source in server.ask(QUESTION)["sources"]]
    with serve(tmp_path / "torch", MAX_REQUESTS="0", MEMORY_LIMIT_MB="4096", **BACKEND) as server:
        server.get("/")
        wait_until(lambda: server.get("/ready").json()["ready"], "torch is loaded", 150)
        answer = server.ask(QUESTION)
        assert answer["retrieval"] == "hybrid"
        assert [source["chunk_id"] for source in answer["sources"]][:3] == expected[:3]
