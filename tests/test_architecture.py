"""The arrows of the architecture: who may import whom."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

SHARED = {"src.records", "src.errors", "src.config", "src.artifacts", "src.checksums"}
# Each package, and what of the project it may import besides itself and what is shared.
ARROWS: dict[str, set[str]] = {
    "web": {"src.readiness", "src.rag.rag_pipeline", "src.retrieval", "src.memory"},
    "rag": {"src.retrieval"},
    "retrieval": set(),
    "embedding": set(),
    "memory": set(),
    "server": set(),
    "ingestion": {"src.integrity", "src.retrieval", "src.embedding", "src.rag.relevance", "src.rag.quotation"},
    "publishing": {"src.ingestion.index_swap", "src.retrieval.vector_store"},
}
# The files, or the folder, that may import each library of weight.
WRAPPERS: dict[str, set[str]] = {
    "flask": {"src/app_factory.py", "src/web/"},
    "psutil": {"src/memory/memory_probe.py"},
    "chromadb": {"src/retrieval/chroma_client.py"},
    "chromadb_rust_bindings": {"src/retrieval/vector_store.py"},
    "onnxruntime": {"src/embedding/embedding_service.py", "src/embedding/export/quantisation.py"},
    "tokenizers": {"src/embedding/embedding_service.py", "src/ingestion/chunker.py"},
    "torch": {"src/embedding/export/onnx_export.py"},
    "sentence_transformers": {
        "src/embedding/sentence_transformers_encoder.py", "src/embedding/export/"
    },
    "requests": {
        "src/rag/openai_client.py", "src/retrieval/chroma_server.py", "src/publishing/http_storage.py"
    },
    "obstore": {"src/publishing/s3_storage.py"},
    "limits": {"src/web/rate_limit.py"},
    "gunicorn": {"src/server/"},
    "Stemmer": {"src/retrieval/analyzer.py"},
    "pebble": {"src/ingestion/parser_process.py"},
    "ray": {"src/ingestion/ray_engine.py"},
    "pyarrow": {"src/ingestion/ray_engine.py"},
}  # fmt: skip
# What builds, exports, publishes and fetches; nothing that serves may import it.
OFFLINE = ("src.ingestion", "src.publishing", "src.embedding.export", "src.retrieval.text_writer")

CHROMA = ("src.retrieval.chroma_client", "src.retrieval.chroma_server", "src.retrieval.server_vectors")


def modules() -> list[Path]:
    return sorted((ROOT / "src").rglob("*.py"))


def imports_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("package", sorted(ARROWS))
def test_packages_import_along_the_arrows(package: str) -> None:
    """Imports point one way: web, rag, retrieval; memory and embedding know nobody."""
    allowed = SHARED | ARROWS[package] | {f"src.{package}"}
    for path in (ROOT / "src" / package).rglob("*.py"):
        for name in imports_of(path):
            if name.startswith("src."):
                assert any(name == item or name.startswith(item + ".") for item in allowed), f"{path.name}: {name}"


def test_nothing_that_serves_imports_what_builds() -> None:
    """The server carries no parser, no splitter and no export."""
    for path in modules():
        place = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if not place.startswith(OFFLINE):
            assert not any(name.startswith(OFFLINE) for name in imports_of(path)), path


def test_vector_store_is_the_only_face_of_chroma() -> None:
    """Another store touches few files: nobody else imports what knows Chroma, but the command that fills a server."""
    users = {place: {path.name for path in modules() if place in imports_of(path)} for place in CHROMA}
    assert users == {
        "src.retrieval.chroma_client": {"vector_store.py", "chroma_server.py"},
        "src.retrieval.chroma_server": {"server_vectors.py", "vector_push.py"},
        "src.retrieval.server_vectors": {"vector_store.py"},
    }


@pytest.mark.parametrize("library", sorted(WRAPPERS))
def test_library_is_imported_only_where_it_is_wrapped(library: str) -> None:
    """A library can be replaced in one place, and each place that is named here imports it."""
    users = [
        path.relative_to(ROOT).as_posix()
        for path in modules()
        if any(name.split(".")[0] == library for name in imports_of(path))
    ]
    for place in users:
        assert any(place.startswith(wrapper) for wrapper in WRAPPERS[library]), f"{place} imports {library}"
    for wrapper in WRAPPERS[library]:
        assert any(place.startswith(wrapper) for place in users), f"{wrapper} does not import {library}"


def test_bare_app_imports_nothing_heavy() -> None:
    """A fresh process that made the app has loaded no heavy library; the first chat or page of a document does."""
    heavy = "{'numpy', 'onnxruntime', 'tokenizers', 'chromadb', 'requests', 'torch', 'limits', 'markdown_it', 'nh3'}"
    code = f"import sys, app; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_files_stay_readable() -> None:
    """A file over 250 lines has a seam."""
    long = {path.name: len(path.read_text().splitlines()) for path in modules()}
    assert {name: lines for name, lines in long.items() if lines > 250} == {}
