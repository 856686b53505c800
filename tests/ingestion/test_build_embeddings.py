"""The command line: what it prints, where, and with which exit status."""

import io
import os
import subprocess
import sys
from pathlib import Path

from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

ROOT = Path(__file__).parents[2]


def run(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "build_embeddings.py", *arguments]
    env = {**os.environ, **environment}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def test_build_names_an_encrypted_pdf_and_goes_on(environment: dict[str, str]) -> None:
    """The rest is indexed; away from a terminal stderr stays empty."""
    documents = Path(environment["DOCUMENTS_DIR"])
    file = io.BytesIO()
    canvas = Canvas(file, encrypt=StandardEncryption("user", "owner"))
    canvas.drawString(72, 700, "Secret.")
    canvas.save()
    (documents / "secret.pdf").write_bytes(file.getvalue())
    (documents / "open.md").write_text("# Open\n\nFor everybody.\n")
    result = run(environment)
    assert (result.returncode, result.stderr) == (0, "")
    assert "Skipped secret.pdf: it is encrypted; save it without a password" in result.stdout
    assert "1 read, 1 skipped" in result.stdout


def test_empty_folder_is_one_line_on_stderr(environment: dict[str, str]) -> None:
    """A failure that is understood shows no stack trace."""
    result = run(environment)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("build_embeddings.py: There is nothing to index in ")


def test_missing_model_names_the_cure(environment: dict[str, str], tmp_path: Path) -> None:
    """The person learns the command that makes one."""
    result = run({**environment, "MODEL_DIR": str(tmp_path / "none")})
    assert result.returncode == 1
    assert "--export-model" in result.stderr


def test_wrong_argument_is_a_usage_error(environment: dict[str, str]) -> None:
    """As everywhere, 2 says that the command was not understood."""
    assert run(environment, "--no-such-thing").returncode == 2


def write_page(environment: dict[str, str]) -> None:
    (Path(environment["DOCUMENTS_DIR"]) / "open.md").write_text("# Opening hours\n\nThe shop opens at nine.\n")


def test_strict_names_what_cannot_be_read_and_builds_nothing(environment: dict[str, str]) -> None:
    """One skipped file is a failure."""
    write_page(environment)
    (Path(environment["DOCUMENTS_DIR"]) / "empty.md").write_text("")
    result = run(environment, "--strict")
    assert result.returncode == 1
    assert "empty.md: it is empty" in result.stderr
    assert not Path(environment["INDEX_DIR"]).exists()


def test_dry_run_tells_and_writes_nothing(environment: dict[str, str]) -> None:
    """One passage with one sentence would be embedded."""
    write_page(environment)
    result = run(environment, "--dry-run")
    assert (result.returncode, result.stderr) == (0, "")
    assert "To embed     2 texts" in result.stdout
    assert not Path(environment["INDEX_DIR"]).parent.exists()


def test_index_is_verified_inspected_and_searched(environment: dict[str, str]) -> None:
    """Each command tells of the same index; one that was tampered with does not pass."""
    write_page(environment)
    assert run(environment).returncode == 0
    assert "1 documents, 1 passages" in run(environment, "verify").stdout
    inspected = run(environment, "inspect").stdout
    assert "Passages     1;" in inspected
    assert "open.md" in inspected
    assert "The shop opens at nine." in run(environment, "search", "when does the shop open?").stdout
    manifest = Path(environment["INDEX_DIR"]) / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"embeddings_sha256": "', '"embeddings_sha256": "0'))
    result = run(environment, "verify")
    assert result.returncode == 1
    assert "manifest.json is damaged" in result.stderr


def test_commands_without_an_index_name_the_cure(environment: dict[str, str]) -> None:
    """The person learns how to build one."""
    for command in (["verify"], ["inspect"], ["search", "x"]):
        result = run(environment, *command)
        assert result.returncode == 1
        assert "./run.sh build" in result.stderr
    assert run(environment, "search").returncode == 2


def test_full_disk_keeps_the_old_index(environment: dict[str, str]) -> None:
    """No file may grow beyond 40 kB: a disk that is full. One line says so, and the old index is as it was."""
    write_page(environment)
    assert run(environment).returncode == 0
    index = Path(environment["INDEX_DIR"])
    before = {path: path.read_bytes() for path in index.rglob("*") if path.is_file()}
    (Path(environment["DOCUMENTS_DIR"]) / "large.md").write_text("Something else is new here. " * 3000)
    limited = "import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000));"
    limited += "runpy.run_path('build_embeddings.py', run_name='__main__')"
    result = subprocess.run(
        [sys.executable, "-c", limited], cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert result.returncode == 1
    assert "old index is as it was" in result.stderr
    assert result.stderr.count("\n") == 1
    assert {path: path.read_bytes() for path in index.rglob("*") if path.is_file()} == before
