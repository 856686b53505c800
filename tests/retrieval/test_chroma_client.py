"""Chroma's public client: what it writes."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from src.retrieval import chroma_client
from src.retrieval.vector_store import create_vectors, iter_embeddings


def test_environment_does_not_reach_chroma(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chroma reads names such as MIGRATIONS from the environment and from .env; ours are not for it."""
    (tmp_path / ".env").write_text("MIGRATIONS=none\nPORT=8000\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIGRATIONS", "validate")
    monkeypatch.setenv("PERSIST_DIRECTORY", str(tmp_path / "elsewhere"))
    create_vectors(tmp_path, ["a#0"], ["a"], np.eye(1, 8, dtype=np.float32))
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("count", [4, 8, 11])
def test_rows_of_several_batches_are_synced_and_read_back_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Whatever the last batch holds, no row waits in Chroma's log, which every open would replay."""
    monkeypatch.setattr(chroma_client, "ROWS_PER_BATCH", 4)
    rows = np.eye(count, 16, dtype=np.float32)
    ids = [f"a#{number}" for number in range(count)]
    create_vectors(tmp_path, ids, ["a"] * count, rows)
    (database,) = tmp_path.rglob("chroma.sqlite3")
    with closing(sqlite3.connect(database)) as connection:
        synced = "SELECT m.seq_id FROM max_seq_id m JOIN segments s ON s.id = m.segment_id WHERE s.scope = 'VECTOR'"
        assert connection.execute(synced).fetchone() == (count,)
    batches = list(iter_embeddings(tmp_path, list(reversed(ids))))
    assert [len(batch) for batch in batches] == [4] * (count // 4) + [count % 4] * (count % 4 > 0)
    np.testing.assert_array_equal(np.concatenate(batches), rows[::-1])
