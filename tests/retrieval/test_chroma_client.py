"""Chroma's public client: what it writes."""

from pathlib import Path

import numpy as np
import pytest

from src.retrieval.vector_store import create_vectors


def test_environment_does_not_reach_chroma(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chroma reads names such as MIGRATIONS from the environment and from .env; ours are not for it."""
    (tmp_path / ".env").write_text("MIGRATIONS=none\nPORT=8000\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIGRATIONS", "validate")
    monkeypatch.setenv("PERSIST_DIRECTORY", str(tmp_path / "elsewhere"))
    create_vectors(tmp_path, ["a#0"], ["a"], np.eye(1, 8, dtype=np.float32))
    assert not (tmp_path / "elsewhere").exists()
