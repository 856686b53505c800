"""At every moment of a swap the old index or the new one is there, whole; what a killed build leaves goes away."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from src.errors import BuildError
from src.ingestion.index_swap import clean_up, replacing
from tests.conftest import ROOT

# A process that kills itself right before the n-th call that changes the disk.
KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from src.ingestion import index_swap

calls_left = int(sys.argv[2])

def killing(call):
    def counted(*arguments, **options):
        global calls_left
        calls_left -= 1
        if calls_left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **options)
    return counted

os.fsync = killing(os.fsync)
Path.rename = killing(Path.rename)
Path.mkdir = killing(Path.mkdir)
shutil.rmtree = killing(shutil.rmtree)
with index_swap.replacing(Path(sys.argv[1])) as aside:
    for name in ("manifest.json", "two"):
        (aside / name).write_text("new")
"""


def make_index(index_dir: Path, content: str) -> None:
    index_dir.mkdir(parents=True)
    for name in ("manifest.json", "two"):
        (index_dir / name).write_text(content)


def content_of(index_dir: Path) -> set[str]:
    assert sorted(path.name for path in index_dir.iterdir()) == ["manifest.json", "two"]
    return {path.read_text() for path in index_dir.iterdir()}


def build(index_dir: Path) -> None:
    with replacing(index_dir) as aside:
        for name in ("manifest.json", "two"):
            (aside / name).write_text("new")


def test_new_index_takes_the_place_of_the_old(tmp_path: Path) -> None:
    """With an old index and without one; nothing else stays beside it."""
    for _ in range(2):
        build(tmp_path / "data" / "index")
        assert content_of(tmp_path / "data" / "index") == {"new"}
        assert [path.name for path in (tmp_path / "data").iterdir()] == ["index"]


def fail_in_build(index_dir: Path) -> None:
    with replacing(index_dir) as aside:
        (aside / "manifest.json").write_text("half")
        raise ZeroDivisionError


def test_build_killed_at_any_step_leaves_a_whole_index(tmp_path: Path) -> None:
    """Killed before each change of the disk; the next build brings back an old index that was moved away."""
    seen = set()
    for calls in range(40):
        index_dir = tmp_path / str(calls) / "index"
        make_index(index_dir, "old")
        command = [sys.executable, "-c", KILLED, str(index_dir), str(calls)]
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        assert code in (0, -signal.SIGKILL)
        clean_up(index_dir)
        content = content_of(index_dir)
        assert len(content) == 1
        seen |= content
        assert [path.name for path in index_dir.parent.iterdir()] == ["index"]
        if code == 0:
            break
    assert code == 0
    assert seen == {"old", "new"}


def test_failed_build_leaves_the_old_index(tmp_path: Path) -> None:
    """An error inside the build changes nothing and leaves nothing."""
    make_index(tmp_path / "index", "old")
    with pytest.raises(ZeroDivisionError):
        fail_in_build(tmp_path / "index")
    assert content_of(tmp_path / "index") == {"old"}
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_full_disk_leaves_the_old_index(tmp_path: Path) -> None:
    """The message says that nothing is lost."""
    make_index(tmp_path / "index", "old")
    with pytest.raises(BuildError, match=r"No space left.*old index is as it was"), replacing(tmp_path / "index"):
        raise OSError(28, os.strerror(28))
    assert content_of(tmp_path / "index") == {"old"}


def test_two_builds_at_once_are_refused(tmp_path: Path) -> None:
    """The second one says what to do; the first goes on."""
    with replacing(tmp_path / "index") as aside:
        (aside / "manifest.json").write_text("new")
        (aside / "two").write_text("new")
        with pytest.raises(BuildError, match="Another build is writing"):
            build(tmp_path / "index")
    assert content_of(tmp_path / "index") == {"new"}


def test_index_dir_that_is_a_link_keeps_being_one(tmp_path: Path) -> None:
    """The folder behind the link is replaced."""
    make_index(tmp_path / "real", "old")
    (tmp_path / "index").symlink_to("real")
    build(tmp_path / "index")
    assert (tmp_path / "index").is_symlink()
    assert content_of(tmp_path / "real") == {"new"}


def test_folder_without_a_manifest_does_not_take_the_place(tmp_path: Path) -> None:
    """A build that finds the old index up to date leaves it, whatever it has written aside."""
    make_index(tmp_path / "index", "old")
    with replacing(tmp_path / "index") as aside:
        (aside / "two").write_text("new")
    assert content_of(tmp_path / "index") == {"old"}
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
