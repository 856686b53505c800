"""The worked examples of CONTRIBUTING.md, done as they are written, in a clone."""

import ast
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks.running_server import run_server
from tests.conftest import DOCUMENTS, ROOT, Server

PAGE = (ROOT / "CONTRIBUTING.md").read_text()

pytestmark = pytest.mark.skipif(not (ROOT / ".venv").exists(), reason="run.sh's own .venv is not there")


def blocks(heading: str) -> list[str]:
    """Return the code blocks under a heading."""
    section = PAGE.split(f"### {heading}\n")[1].split("\n### ")[0]
    return re.findall(r"```\w+\n(.*?)```", section, re.DOTALL)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The last commit, with the environment of this checkout."""
    folder = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


# pytest takes longer to load the plugins than to run the tests below, which need none.
ENVIRONMENT = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def run(clone: Path, command: str) -> str:
    done = subprocess.run(["bash", "-c", command], cwd=clone, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def insert(path: Path, before: str, text: str) -> None:
    """Put text before the first line that begins so."""
    source = path.read_text()
    assert f"\n{before}" in source
    path.write_text(source.replace(f"\n{before}", f"\n{text}{before}", 1))


def replace_functions(path: Path, code: str) -> None:
    """Put each function of the code in the place of its namesake, and leave the rest."""
    for new in ast.parse(code).body:
        lines, source = code.splitlines(), path.read_text()
        assert isinstance(new, ast.FunctionDef)
        (old,) = [node for node in ast.parse(source).body if getattr(node, "name", "") == new.name]
        kept = source.splitlines()
        kept[old.lineno - 1 : old.end_lineno] = lines[new.lineno - 1 : new.end_lineno]
        path.write_text("\n".join(kept) + "\n")


def test_prompt_can_be_changed(clone: Path) -> None:
    """A rule more; what the program reads of the prompt is still there."""
    with (clone / "src/rag/prompts/answer.txt").open("a") as file:
        file.write(blocks("Change the prompt")[0])
    run(clone, ".venv/bin/python -m pytest tests/rag/test_prompt.py")


def test_setting_can_be_added(clone: Path) -> None:
    """One field, one command, and the documentation agrees."""
    insert(clone / "src/config.py", "    port: int", blocks("Add a setting")[0])
    run(clone, ".venv/bin/python -m src.config_docs && .venv/bin/python -m pytest tests/test_config.py")
    assert "#GREETING=Ask the documents" in (clone / ".env.example").read_text()


def test_route_can_be_added(clone: Path) -> None:
    """The view and its description; without the second the test of both fails."""
    view, description = blocks("Add a route")
    insert(clone / "src/web/routes/status.py", '@status_routes.get("/ready")', view + "\n\n")
    check = ".venv/bin/python -m pytest tests/web/test_openapi.py -k every_route tests/web/test_access.py"
    with pytest.raises(AssertionError, match="version"):
        run(clone, check)
    insert(clone / "src/web/openapi.yaml", "  /health:", description)
    run(clone, check)


def test_parser_can_be_added(clone: Path) -> None:
    """A file of the new format is found by its heading."""
    module, line = blocks("Add a parser")
    (clone / "src/ingestion/parsers/org.py").write_text(module)
    table = clone / "src/ingestion/parsers/__init__.py"
    insert(table, '    ".md":', line)
    insert(table, "from src.ingestion.parsers.parsed", "from src.ingestion.parsers.org import parse_org\n")
    shutil.rmtree(clone / "data/documents")
    (clone / "data/documents").mkdir()
    (clone / "data/documents/notes.org").write_text(
        "* Bees\n\nBees sleep at night.\n\n** Hives\n\nThey stand in rows.\n"
    )
    run(clone, ".venv/bin/python build_embeddings.py")
    assert "Hives" in run(clone, '.venv/bin/python build_embeddings.py search "where do hives stand"')


def test_vector_store_can_be_replaced(clone: Path, server: Server) -> None:
    """Another store answers as Chroma does; the old index is refused until it is rebuilt."""
    module, functions = blocks("Put another vector store in")
    (clone / "src/retrieval/exact_vectors.py").write_text(module)
    replace_functions(clone / "src/retrieval/vector_store.py", functions)
    question = "How many days of annual leave do I get?"
    with run_server(cwd=clone) as changed:
        response = changed.post("/chat", {"message": question})
        assert response.json()["error"]["code"] == "index_unusable"
    for folder in ("index", "documents"):
        shutil.rmtree(clone / "data" / folder)
    shutil.copytree(DOCUMENTS, clone / "data/documents")
    run(clone, ".venv/bin/python build_embeddings.py")
    assert not list((clone / "data/index").rglob("*chroma*"))
    with run_server(cwd=clone) as changed:
        found, expected = ([hit["chunk_id"] for hit in one.ask(question)["sources"]] for one in (changed, server))
    assert found == expected


def test_project_can_be_renamed(clone: Path) -> None:
    """Nothing of the old name is left in what people see, and the settings' documentation is whole."""
    run(clone, blocks("Rename the project")[0])
    run(clone, ".venv/bin/python -m pytest tests/test_config.py -k documentation")
    assert "handbook" in (clone / "src/config.py").read_text()
    assert "rag512" not in (clone / "README.md").read_text()
