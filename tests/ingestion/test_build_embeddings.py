"""The command line: what it prints, where, and with which exit status."""

import importlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

import build_embeddings
from tests.conftest import ROOT, fill, serve

Run = Callable[..., "subprocess.CompletedProcess[str]"]
PLACES = ("balcony", "stage", "lobby", "gallery")


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
    """One chunk with one sentence would be embedded."""
    write_page(environment)
    result = run(environment, "--dry-run")
    assert (result.returncode, result.stderr) == (0, "")
    assert "To embed     2 texts" in result.stdout
    assert not Path(environment["INDEX_DIR"]).parent.exists()


def test_index_is_verified_inspected_and_searched(environment: dict[str, str]) -> None:
    """Each command tells of the same index; one that was tampered with does not pass."""
    write_page(environment)
    assert run(environment).returncode == 0
    assert "1 documents, 1 chunks" in run(environment, "verify").stdout
    inspected = run(environment, "inspect").stdout
    assert "Chunks       1;" in inspected
    assert "open.md" in inspected
    assert "The shop opens at nine." in run(environment, "search", "when does the shop open?").stdout
    original = {"EMBEDDING_BACKEND": "sentence-transformers", "EMBEDDING_MODEL_NAME": "some/model"}
    assert "EMBEDDING_MODEL_NAME=some/model" in run(environment | original, "search", "when?").stderr
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


def all_bytes(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_full_disk_keeps_the_old_index(environment: dict[str, str], small_disk: Path) -> None:
    """However much room there is, but not enough: the old index stays, one line names the cure, and that one works.

    So the disk is full while texts are written, while they are embedded and while the vectors are written.
    """
    environment = {**environment, "INDEX_DIR": str(small_disk / "data" / "index")}
    write_page(environment)
    assert run(environment).returncode == 0
    index = small_disk / "data" / "index"
    before = all_bytes(index)
    pages = [f"The {place} of hall {number} seats {7 * number} people.\n\n" for number in range(30) for place in PLACES]
    (Path(environment["DOCUMENTS_DIR"]) / "large.txt").write_text("".join(pages))
    refusals = set()
    for room_kb in (0, 60, 120, 350):
        fill(small_disk, 1024 * room_kb)
        result = run(environment)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.count("\n") == 1
        assert "The old index is as it was. Free some space on that disk" in result.stderr
        assert all_bytes(index) == before
        refusals.add(result.stderr.split("(")[1])
        for path in [small_disk / "filler", *small_disk.glob("data/.kept-embeddings-*")]:
            path.unlink()
    assert len(refusals) > 2
    assert run(environment).returncode == 0
    assert "is whole" in run(environment, "verify").stdout


def test_full_scratch_disk_is_one_line_that_names_the_cure(environment: dict[str, str], small_disk: Path) -> None:
    """A plan and a check write scratch files only."""
    write_page(environment)
    assert run(environment).returncode == 0
    fill(small_disk, 40_000)
    (Path(environment["DOCUMENTS_DIR"]) / "new.md").write_text("Something new.\n" * 2000)
    for arguments in (["--dry-run"], ["verify"]):
        result = run({**environment, "TMPDIR": str(small_disk)}, *arguments)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.count("\n") == 1
        assert "Free some space on" in result.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory is counted in other units")
def test_huge_files_are_named_and_never_in_memory(environment: dict[str, str]) -> None:
    """Half a gigabyte each, of which the disk holds nothing; no process of the build may hold it either."""
    write_page(environment)
    for name in ("huge.txt", "huge.pdf"):
        with (Path(environment["DOCUMENTS_DIR"]) / name).open("wb") as file:
            file.truncate(500_000_000)
    command = "import resource, subprocess, sys; done = subprocess.run([sys.executable, 'build_embeddings.py']);"
    command += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1000); sys.exit(done.returncode)"
    env = {**os.environ, **environment}
    result = subprocess.run([sys.executable, "-c", command], cwd=ROOT, env=env, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert "Skipped huge.txt: it is larger than 50 MB; split it" in result.stdout
    assert "Skipped huge.pdf: it is larger than 50 MB; split it" in result.stdout
    assert int(result.stdout.split()[-1]) < 400


def test_device_without_the_original_model_is_refused(environment: dict[str, str]) -> None:
    """The exported model runs on the CPU; a person who asks for a GPU would wait for nothing."""
    write_page(environment)
    result = run(environment, "--device", "cuda")
    assert result.returncode == 1
    assert "Add --backend sentence-transformers" in result.stderr


def test_engine_that_is_not_installed_is_one_line_that_names_its_requirements(environment: dict[str, str]) -> None:
    """Ray comes with a file of its own, which hardly anybody needs."""
    code = "import sys; sys.modules['ray'] = None; import build_embeddings; sys.exit(build_embeddings.main())"
    command = [sys.executable, "-c", code, "--engine", "ray"]
    result = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("build_embeddings.py: The package ray is not installed.")
    assert result.stderr.endswith("pip install -r requirements-ray.txt\n")


@pytest.fixture
def run_here(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run in this process: each new one would import sentence-transformers, which takes longer than the command."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def call(*arguments: str) -> "subprocess.CompletedProcess[str]":
        code = build_embeddings.main(arguments)
        return subprocess.CompletedProcess(arguments, code, *capsys.readouterr())

    return call


@pytest.mark.export
@pytest.mark.parametrize("device", ["cuda", "gpu"])
def test_device_that_is_not_here_is_one_line_that_names_the_cure(
    environment: dict[str, str], run_here: Run, device: str
) -> None:
    """It is told before anything is read; nothing is written."""
    if device == "cuda" and importlib.import_module("torch").cuda.is_available():
        pytest.skip("there is a GPU here")
    result = run_here("--backend", "sentence-transformers", "--device", device)
    assert result.returncode == 1
    refusal = result.stderr.splitlines()[-1]
    assert f"cannot run on the device {device}" in refusal
    assert "--device cpu" in refusal
    assert "Traceback" not in result.stderr
    assert not Path(environment["INDEX_DIR"]).exists()


@pytest.mark.export
def test_index_embedded_with_the_original_model_is_served(
    environment: dict[str, str], run_here: Run, tmp_path: Path
) -> None:
    """The exported model embeds the question and ranks alike; a build without the option makes the index its own."""
    write_page(environment)
    (Path(environment["DOCUMENTS_DIR"]) / "leave.md").write_text("# Leave\n\nEveryone has 25 days of paid leave.\n")
    original = ("--backend", "sentence-transformers", "--device", "cpu")
    assert run_here(*original).returncode == 0
    assert run(environment, "verify").returncode == 0
    with serve(tmp_path / "log", **environment) as server:
        answer = server.ask("How many days of paid leave does everyone have?")
    assert "25 days" in answer["answer"]
    assert (answer["retrieval"], answer["citations"][0]["document"]) == ("hybrid", "leave.md")
    assert "nothing: the index is up to date" in run_here(*original).stdout
    assert "Embedded     4 texts" in run(environment).stdout
