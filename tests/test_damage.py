"""Damage is told, not served; and the cure that is advised cures without a restart."""

import os
import random
import shutil
import tempfile
from hashlib import sha256
from pathlib import Path

import pytest
import requests

from src.app_factory import create_app, load_services
from src.artifacts import CHECKSUMS_FILE, Manifest, ModelCard, sha256_of
from src.checksums import read_checksums
from src.config import Config
from src.errors import ArtifactError
from src.integrity import Integrity
from src.retrieval.scratch import SCRATCH_PREFIX, remove_stale_scratch
from src.web.services import EXTENSION
from tests.conftest import ROOMY, ROOT, Server, build, corpus_places, fill, serve, wait_until

QUESTION = {"message": "How many days of annual leave do employees get?"}
FLIPS = 20


def copy_index(folder: Path) -> Path:
    shutil.copytree(corpus_places()["INDEX_DIR"], folder / "index")
    return folder / "index"


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0x10]))


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_flipped_byte_of_any_file_of_the_index_is_told(tmp_path: Path) -> None:
    """20 places in each file: none is opened. The sums themselves too."""
    index = copy_index(tmp_path)
    integrity = Integrity(index, ROOT / "data" / "model")
    for path in files_of(index):
        for place in random.Random(1).sample(range(path.stat().st_size), min(FLIPS, path.stat().st_size)):
            flip(path, place)
            with pytest.raises(ArtifactError, match=r"run\.sh build"):
                integrity.check_index(Manifest.load(index))
            flip(path, place)
    integrity.check_index(Manifest.load(index))


@pytest.mark.parametrize("kept_lines", [0, 1, -1])
def test_sums_that_lack_a_file_are_told(tmp_path: Path, kept_lines: int) -> None:
    """What they do not name would not be compared."""
    index = copy_index(tmp_path)
    lines = (index / CHECKSUMS_FILE).read_text().splitlines(keepends=True)
    (index / CHECKSUMS_FILE).write_text("".join(lines[:kept_lines]))
    with pytest.raises(ArtifactError, match="SHA256SUMS does not name"):
        Integrity(index, ROOT / "data" / "model").check_index(Manifest.load(index))


@pytest.mark.parametrize("text", ["[]", "1", "null", "{}", '{"spec": [], "results": 1}'])
def test_json_of_another_shape_is_told(text: str, tmp_path: Path) -> None:
    """What is valid JSON and no manifest, or no model card, ends in no stack trace."""
    for load, name in ((Manifest.load, "manifest.json"), (ModelCard.load, "model_card.json")):
        (tmp_path / name).write_text(text)
        with pytest.raises(ArtifactError, match="its keys differ"):
            load(tmp_path)


def test_file_that_goes_while_the_index_is_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build may swap the index at any moment."""
    index = copy_index(tmp_path)
    monkeypatch.setattr(Path, "is_file", lambda _: True)
    (index / "gone").symlink_to(tmp_path / "nothing")
    with pytest.raises(ArtifactError, match="gone has gone"):
        Manifest.load(index)


def test_damage_is_found_once_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """100 MB are not read again for each request that meets the damage; the cure is seen at once."""
    index = copy_index(tmp_path)
    damaged = index / "lexical.sqlite3"
    flip(damaged, 5000)
    for path in files_of(index):
        os.utime(path, (0, 0))
    read: list[Path] = []
    monkeypatch.setattr("src.integrity.sha256_of", lambda path: read.append(path) or sha256_of(path))
    integrity = Integrity(index, ROOT / "data" / "model")
    for _ in range(3):
        with pytest.raises(ArtifactError, match=r"lexical\.sqlite3 is damaged"):
            integrity.check_index(Manifest.load(index))
        integrity.forget()
    assert read.count(damaged) == 1
    flip(damaged, 5000)
    integrity.check_index(Manifest.load(index))
    assert read.count(damaged) == 2


def test_flipped_byte_of_the_model_is_told(tmp_path: Path) -> None:
    """The weights are mapped, so nothing else would see it."""
    shutil.copytree(ROOT / "data" / "model", tmp_path / "model")
    integrity = Integrity(tmp_path, tmp_path / "model")
    for name in ("model.onnx", "model.onnx.data", "tokenizer.json"):
        path = tmp_path / "model" / name
        for place in random.Random(1).sample(range(path.stat().st_size), 5):
            flip(path, place)
            with pytest.raises(ArtifactError, match=f"{name} is damaged"):
                integrity.check_model()
            flip(path, place)
    integrity.check_model()


def test_large_file_is_read_after_the_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged one is served for a moment, said, and refused from then on."""
    index = copy_index(tmp_path)
    monkeypatch.setattr("src.integrity.READ_BEFORE_LOAD_BYTES", 0)
    integrity = Integrity(index, ROOT / "data" / "model")
    flip(index / "lexical.sqlite3", 5000)
    integrity.check_index(Manifest.load(index))
    told: list[bool] = []
    integrity.read_large_files(lambda: told.append(True))
    wait_until(lambda: told, "the damage is told")
    with pytest.raises(ArtifactError, match="is damaged"):
        integrity.check_index(Manifest.load(index))


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return copy_index(tmp_path)


def answers_again(server: Server) -> bool:
    return server.post("/chat", QUESTION).status_code == 200


def test_load_that_kills_is_not_tried_again_and_a_build_cures(index: Path, tmp_path: Path) -> None:
    """A damage that the sums do not show ends one worker; then it is refused, and the advised build cures it."""
    header = next(index.rglob("header.bin"))
    flip(header, 20)
    flip(header, 50)
    sums = read_checksums(index) | {header.relative_to(index).as_posix(): sha256(header.read_bytes()).hexdigest()}
    (index / CHECKSUMS_FILE).write_text("".join(f"{digest}  {name}\n" for name, digest in sums.items()))
    with serve(tmp_path / "log", INDEX_DIR=str(index), MAX_REQUESTS="0") as server:
        with pytest.raises(requests.ConnectionError):
            server.post("/chat", QUESTION)
        wait_until(server.is_healthy, "a new worker")
        worker = server.workers()
        for _ in range(3):
            response = server.post("/chat", QUESTION)
            assert response.status_code == 503
            assert "run.sh build" in response.json()["error"]["message"]
        assert server.workers() == worker
        shutil.rmtree(index)  # its sums are those of the damage, so a build would find nothing to do
        build({**corpus_places(), "INDEX_DIR": str(index)})
        wait_until(lambda: answers_again(server), "the cure cures", 30)
        assert server.workers() == worker


def test_index_swapped_under_a_server_is_told_and_taken_up_by_the_next_load(index: Path, tmp_path: Path) -> None:
    """/ready says what is served and what lies on disk; what is read later is never mixed with it."""
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "bees.md").write_text("# Bees\n\nOur apiary has fourteen hives.\n")
    with serve(tmp_path / "log", INDEX_DIR=str(index), MAX_REQUESTS="0") as server:
        server.ask(**QUESTION)
        old = server.get("/ready").json()
        assert old["index"] == old["index_on_disk"]
        build({**corpus_places(), "DOCUMENTS_DIR": str(tmp_path / "documents"), "INDEX_DIR": str(index)})
        new = server.get("/ready").json()
        assert new["index"] == old["index"] != new["index_on_disk"]
        assert server.ask(**QUESTION)["grounded"]
    config = Config.from_env({**ROOMY, "INDEX_DIR": str(index), "RATE_LIMIT": "off"})
    services = create_app(config).extensions[EXTENSION]
    services.warm_up()
    shutil.rmtree(index)
    shutil.copytree(corpus_places()["INDEX_DIR"], index)
    services.readiness.reset()
    load_services(config, services.memory)
    assert services.get_index().manifest == Manifest.load(index)
    assert services.get_index().search("annual leave", limit=1).hits


def test_full_scratch_disk_is_told_as_such(index: Path, tmp_path: Path, small_disk: Path) -> None:
    """It is not the index that must be rebuilt."""
    fill(small_disk, 100_000)
    with serve(tmp_path / "log", INDEX_DIR=str(index), TMPDIR=str(small_disk)) as server:
        response = server.post("/chat", QUESTION)
        assert response.status_code == 503
        assert "TMPDIR" in response.json()["error"]["message"]
        assert "run.sh build" not in response.text


def test_folder_named_like_a_scratch_copy_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only copies of processes that are gone are removed, as this project names them."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ours = tmp_path / f"{SCRATCH_PREFIX}999999999-abcdefgh"
    foreign = [tmp_path / f"{SCRATCH_PREFIX}{end}" for end in ("12x-old", "1-", "backup", "9" * 30 + "-abcdefgh")]
    for folder in (ours, *foreign):
        folder.mkdir()
    remove_stale_scratch()
    assert not ours.exists()
    assert all(folder.exists() for folder in foreign)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user who may not read the files")
def test_files_that_may_not_be_read_are_told_as_such(index: Path, tmp_path: Path) -> None:
    """Modes 000: the cure is a mode, not a build; each file and the folder itself."""
    for folder in (tmp_path, *tmp_path.parents):
        if os.geteuid() == 0 and folder.stat().st_uid == 0 and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    integrity = Integrity(index, ROOT / "data" / "model")

    def check() -> None:
        integrity.check_index(Manifest.load(index))

    for path in (index, *files_of(index)):
        mode = path.stat().st_mode
        path.chmod(0)
        os.seteuid(65534)
        try:
            with pytest.raises(ArtifactError, match="may not be read") as caught:
                check()
            assert "run.sh build" not in str(caught.value)
        finally:
            os.seteuid(0)
            path.chmod(mode)
