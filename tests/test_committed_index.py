"""The index in `data/` is that of the documents and the model beside it, whatever they are."""

import hashlib
import subprocess
import sys

from src.artifacts import Manifest
from tests.conftest import ROOT

DATA = ROOT / "data"


def test_committed_index_holds_the_documents_as_they_are() -> None:
    """A document that was added, changed or removed after the build would be answered wrongly."""
    spec = Manifest.load(DATA / "index").spec
    documents = DATA / "documents"
    files = {path.relative_to(documents): path for path in documents.rglob("*") if path.is_file()}
    hashes = {
        name.as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in files.items()
        if not any(part.startswith(".") for part in name.parts) and name.as_posix() not in spec.skipped
    }
    assert hashes == spec.document_hashes, "rebuild the index and commit it: ./run.sh build"


def test_committed_index_is_whole_and_goes_with_the_model() -> None:
    """`verify` asks it for its own passages, with the committed model."""
    command = [sys.executable, "build_embeddings.py", "verify"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
