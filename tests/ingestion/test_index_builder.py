"""The whole build with the real model and the real stores."""

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.artifacts import LEXICAL_FILE, MANIFEST_FILE, Manifest, ModelCard
from src.checksums import write_checksums
from src.config import Config
from src.embedding.embedding_service import EmbeddingService
from src.errors import BuildError
from src.ingestion.chunker import embedding_text
from src.ingestion.index_builder import build_index
from src.records import Filters
from src.retrieval.text_store import TextStore
from src.retrieval.vector_store import VectorStore, store_format
from tests.conftest import ROOT

LEAVE = "# Leave\n\nEveryone has 25 days of leave. Ask your manager.\n\n## Sick leave\n\n- Call by nine.\n- Rest.\n"
TRAVEL = "---\ntitle: Travel\n---\nTake the train for journeys of up to five hours.\n"
DOCUMENTS = {"people/leave.md": LEAVE, "travel.md": TRAVEL, "picture.png": "?"}


@pytest.fixture
def config(config: Config) -> Config:
    write(config, DOCUMENTS)
    return config


def write(config: Config, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = config.documents_dir / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_built_index_holds_the_documents_and_finds_them(config: Config) -> None:
    """Manifest, texts, sentence embeddings and vectors all tell of the same chunks."""
    report = build_index(config)
    manifest = Manifest.load(config.index_dir)
    manifest.require_match(ModelCard.load(config.model_dir), store_format())
    assert (report.documents, report.chunks, report.sentences) == (2, 3, 5)
    assert (manifest.results.chunks, manifest.spec.dimension, manifest.spec.encoder) == (3, 384, "onnx")
    assert manifest.spec.document_hashes == {
        "people/leave.md": hashlib.sha256(LEAVE.encode()).hexdigest(),
        "travel.md": hashlib.sha256(TRAVEL.encode()).hexdigest(),
    }
    assert list(manifest.spec.skipped) == ["picture.png"]

    encoder = EmbeddingService.load(config.model_dir)
    texts = TextStore.open(config.index_dir / LEXICAL_FILE)
    vectors = VectorStore.open(config.index_dir, manifest.results.chunks)
    chunk = texts.get_chunks_of("people/leave.md")[1]
    assert (chunk.title, chunk.section) == ("Leave", "Sick leave")
    [best, *_] = vectors.search(encoder.embed([embedding_text(chunk)])[0], 3, Filters())
    assert best.chunk_id == chunk.chunk_id == "people/leave.md#1"
    sentences = np.concatenate([encoder.embed(["Call by nine."]), encoder.embed(["Rest."])])
    [rows] = texts.get_sentences_of([chunk.chunk_id], manifest.spec.dimension).values()
    assert np.abs(rows / 127 - sentences).max() <= 0.5 / 127 + 1e-6
    vectors.close()
    texts.close()


def test_two_builds_of_a_folder_give_the_same_bytes(config: Config) -> None:
    """Texts and manifest carry no time and no chance."""
    build_index(config)
    first = [(config.index_dir / name).read_bytes() for name in (MANIFEST_FILE, LEXICAL_FILE)]
    build_index(config)
    assert [(config.index_dir / name).read_bytes() for name in (MANIFEST_FILE, LEXICAL_FILE)] == first


@pytest.mark.parametrize("files", [{}, {"scan.pdf": "%PDF", "notes.xyz": "?"}])
def test_folder_without_a_readable_document_keeps_the_old_index(
    config: Config, environment: dict[str, str], tmp_path: Path, files: dict[str, str]
) -> None:
    """The message names the folder, the formats, and why each file there did not do."""
    build_index(config)
    before = contents(config.index_dir)
    (tmp_path / "other").mkdir()
    other = Config.from_env({**environment, "DOCUMENTS_DIR": str(tmp_path / "other")})
    write(other, files)
    with pytest.raises(BuildError, match=r"nothing to index in .*other.*\.md .*\.docx") as caught:
        build_index(other)
    assert all(name in str(caught.value) for name in files)
    assert contents(config.index_dir) == before


def test_killed_build_leaves_the_old_index(config: Config, environment: dict[str, str]) -> None:
    """SIGKILL while it embeds; the next build clears up after it."""
    build_index(config)
    before = contents(config.index_dir)
    write(config, {"large.md": "Every employee may carry five days into the next year.\n\n" * 3000})
    command = [sys.executable, "build_embeddings.py"]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment})
    deadline = time.monotonic() + 60
    while not any(config.index_dir.parent.glob(".kept-embeddings-*")) and time.monotonic() < deadline:
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert contents(config.index_dir) == before
    (config.documents_dir / "large.md").unlink()
    build_index(config)
    assert [path.name for path in config.index_dir.parent.iterdir()] == ["index"]


def test_build_removes_only_what_killed_builds_left(config: Config) -> None:
    """A person's folder beside the index, whatever its name begins with, is none of them."""
    beside = config.index_dir.parent
    ours = [f".{config.index_dir.name}-{rest}" for rest in ("7", "old-7")]
    others = [f".{config.index_dir.name}-{rest}" for rest in ("backup", "v2-old-7", "old-x")]
    build_index(config)
    for name in (*ours, *others):
        (beside / name).mkdir()
    build_index(config)
    assert [(beside / name).exists() for name in (*ours, *others)] == [False, False, True, True, True]


def test_row_is_embedded_with_its_header(config: Config) -> None:
    """As it is quoted: cells alone say little."""
    table = "# Leave\n\n| Occasion | Paid days |\n|---|---|\n| Moving home | 1 |\n| Wedding | 2 |\n"
    write(config, {"people/leave.md": table})
    build_index(config)
    texts = TextStore.open(config.index_dir / LEXICAL_FILE)
    [rows] = texts.get_sentences_of(["people/leave.md#0"], 384).values()
    texts.close()
    expected = EmbeddingService.load(config.model_dir).embed(["Occasion: Moving home; Paid days: 1"])[0]
    assert rows[0] / 127 @ expected > 0.99


def test_index_of_an_older_format_gives_no_embeddings(config: Config) -> None:
    """Its tables differ, so it is not read; the build makes everything anew."""
    first = build_index(config)
    manifest = Manifest.load(config.index_dir)
    replace(manifest, spec=replace(manifest.spec, schema_version=1)).save(config.index_dir)
    with closing(sqlite3.connect(config.index_dir / LEXICAL_FILE)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = replace(sql, 'c.lead, ', '') WHERE name = 'chunk_rows'")
        connection.commit()
    write_checksums(config.index_dir)
    assert build_index(config).embedded == first.embedded
