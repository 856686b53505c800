"""The chunks nearest to a question, from a copy of a real Chroma store."""

import builtins
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import chromadb
import chromadb.errors
import numpy as np
import pytest

from src.artifacts import sha256_of
from src.errors import ArtifactError, ServiceUnavailable, VectorsUnavailable
from src.records import Filters
from src.retrieval.chroma_client import COLLECTION
from src.retrieval.vector_store import VECTORS_DIR, VectorStore, _translated, create_vectors, store_format
from tests.conftest import ROOT
from tests.fakes import DIMENSION, WordEncoder
from tests.retrieval.corpus import CHUNKS


@pytest.fixture(autouse=True)
def scratch_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "scratch"
    root.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(root))
    return root


def test_scores_are_cosines_best_first(index_dir: Path) -> None:
    """Against the dot products of the same rows."""
    rows = WordEncoder().embed([f"{chunk.title} {chunk.text}" for chunk in CHUNKS])
    question = WordEncoder().embed(["unused days of holiday"])[0]
    store = VectorStore.open(index_dir, len(CHUNKS))
    found = store.search(question, 10, Filters())
    store.close()
    cosines = rows @ question
    assert found[0].chunk_id == CHUNKS[int(np.argmax(cosines))].chunk_id
    assert {s.chunk_id: s.score for s in found} == pytest.approx(
        {chunk.chunk_id: float(cosine) for chunk, cosine in zip(CHUNKS, cosines, strict=True)}, abs=1e-5
    )


def test_filter_narrows_before_the_limit(index_dir: Path) -> None:
    """The nearest of the named documents, not the named among the nearest."""
    store = VectorStore.open(index_dir, len(CHUNKS))
    question = WordEncoder().embed(["holiday"])[0]
    assert [s.chunk_id for s in store.search(question, 1, Filters(("server.md",)))] == ["server.md#0"]
    assert store.search(question, 1, Filters(("nobody.md",))) == []
    store.close()


def test_committed_index_is_not_touched_and_the_copy_goes_away(index_dir: Path, scratch_root: Path) -> None:
    """A query changes Chroma's files: the copy's, never the committed ones."""
    before = {path: sha256_of(path) for path in index_dir.rglob("*") if path.is_file()}
    store = VectorStore.open(index_dir, len(CHUNKS))
    store.search(np.ones(DIMENSION, np.float32), 3, Filters())
    assert list(scratch_root.iterdir())
    store.close()
    store.close()
    assert not list(scratch_root.iterdir())
    assert {path: sha256_of(path) for path in index_dir.rglob("*") if path.is_file()} == before


def test_copies_of_dead_processes_are_removed(index_dir: Path, scratch_root: Path) -> None:
    """A killed worker leaves its copy; the next one clears it, and only it."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (scratch_root / f"rag512-{dead.pid}-abcdefgh").mkdir()
    (scratch_root / f"rag512-{os.getppid()}-abcdefgh").mkdir()
    VectorStore.open(index_dir, len(CHUNKS)).close()
    assert [path.name for path in scratch_root.iterdir()] == [f"rag512-{os.getppid()}-abcdefgh"]


def test_store_format_is_one_for_versions_that_read_each_others_stores() -> None:
    """1.3.0, 1.5.0 and 1.5.4 were tried on a store of 1.5.9; 1.1.0 crashes on it, and what comes next is not known."""
    assert {store_format(version) for version in ("1.3.0", "1.5.0", "1.5.4", "1.5.9", None)} == {store_format("1.4.1")}
    assert len({store_format(version) for version in ("1.5.9", "1.1.0", "1.0.15", "1.6.0", "2.0.0")}) == 5


@pytest.mark.parametrize("damage", ["chroma.sqlite3", "index_metadata.pickle"])
def test_damaged_index_names_the_cure(index_dir: Path, tmp_path: Path, scratch_root: Path, damage: str) -> None:
    """Neither Chroma's own error nor a copy is left behind."""
    shutil.copytree(index_dir, tmp_path / "index")
    next((tmp_path / "index").rglob(damage)).write_bytes(b"nothing of use")
    with pytest.raises(ArtifactError, match=r"run\.sh build"):
        VectorStore.open(tmp_path / "index", len(CHUNKS)).search(np.ones(DIMENSION, np.float32), 3, Filters())


def test_other_count_than_the_manifest_is_refused(index_dir: Path, scratch_root: Path) -> None:
    """Half an index is not served."""
    with pytest.raises(ArtifactError, match=r"holds 4 chunks, the manifest says 5"):
        VectorStore.open(index_dir, 5)
    assert not list(scratch_root.iterdir())


def test_every_error_of_chroma_is_translated() -> None:
    """All of them are ours at the border."""
    classes = [value for value in vars(chromadb.errors).values() if isinstance(value, type)]
    errors = [value for value in classes if issubclass(value, Exception) and value.__module__ == "chromadb.errors"]
    assert len(errors) >= 10
    for error in [*errors, builtins.ValueError, builtins.OSError]:
        if error is not chromadb.errors.ChromaError:
            with pytest.raises(ArtifactError, match=error.__name__), _translated(Path("here")):
                raise error("broken")


def test_panic_of_the_engine_is_translated() -> None:
    """A damaged database can make Rust panic, which arrives as a BaseException of this module and name."""
    panic = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})
    with pytest.raises(ArtifactError, match="PanicException"), _translated(Path("here")):
        raise panic("Expect it to be fetched")


def test_engine_without_threads_is_not_called_damage() -> None:
    """What it says where the system gives none; rebuilding would not help."""
    panic = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})
    with pytest.raises(ServiceUnavailable, match="threads") as caught, _translated(Path("here")):
        raise panic("OS can't spawn worker thread: Resource temporarily unavailable (os error 11)")
    assert caught.value.code == "no_threads"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError, KeyError])
def test_what_is_not_the_engines_passes(error: type[BaseException]) -> None:
    """A stop is a stop, and our own mistakes are not called damage."""
    with pytest.raises(error), _translated(Path("here")):
        raise error


def test_error_of_a_store_closed_meanwhile_is_not_called_damage(index_dir: Path) -> None:
    """Closing removes the files under a running search; asking again helps, rebuilding does not."""
    store = VectorStore.open(index_dir, len(CHUNKS))
    store.close()
    with pytest.raises(VectorsUnavailable, match="Ask again"):
        store.search(np.ones(DIMENSION + 1, np.float32), 3, Filters())


@pytest.mark.parametrize("count", [1, 2, 3, 50])
def test_small_collections_are_served(tmp_path: Path, count: int) -> None:
    """Below Chroma's smallest batch too."""
    rows = np.eye(count, DIMENSION, dtype=np.float32)
    create_vectors(tmp_path, [f"a#{n}" for n in range(count)], ["a"] * count, rows)
    store = VectorStore.open(tmp_path, count)
    assert store.search(rows[-1], 1, Filters())[0].chunk_id == f"a#{count - 1}"
    store.close()


def test_engine_and_public_client_agree(index_dir: Path, scratch_root: Path, tmp_path: Path) -> None:
    """The engine is asked directly; a Chroma that changes it must fail here."""
    shutil.copytree(index_dir / VECTORS_DIR, tmp_path / "copy")
    collection = chromadb.PersistentClient(str(tmp_path / "copy")).get_collection(COLLECTION, embedding_function=None)
    store = VectorStore.open(index_dir, len(CHUNKS))
    question = WordEncoder().embed(["unused days of holiday"])
    for documents in ((), ("server.md",)):
        where = {"document": {"$in": list(documents)}} if documents else None
        found = collection.query(query_embeddings=question, n_results=3, where=where, include=["distances"])
        hits = store.search(question[0], 3, Filters(documents))
        assert [hit.chunk_id for hit in hits] == found["ids"][0]
        assert [hit.score for hit in hits] == pytest.approx([1 - distance for distance in found["distances"][0]])
    store.close()


def test_serving_imports_the_engine_alone(index_dir: Path, scratch_root: Path) -> None:
    """Importing chromadb would cost 44 MB and half a CPU-second."""
    code = f"""
import pathlib, sys, numpy
from src.records import Filters
from src.retrieval.vector_store import VectorStore
store = VectorStore.open(pathlib.Path({str(index_dir)!r}), {len(CHUNKS)})
store.search(numpy.ones({DIMENSION}, "f4"), 3, Filters())
print("chromadb" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
