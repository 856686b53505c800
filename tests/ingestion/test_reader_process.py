"""No file stops a build, hangs it or eats its memory: it is skipped, and the next one is read."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from src.artifacts import TOKENIZER_FILE, ModelCard
from src.ingestion.chunker import Chunker
from src.ingestion.loader import Skipped
from src.ingestion.reader_process import ReaderProcess, SplitDocument, read_files

GOOD = "# Leave\n\nEveryone has 25 days of leave.\n"


@pytest.fixture
def make_reader(tmp_path: Path, model_dir: Path) -> Iterator[Callable[..., ReaderProcess]]:
    (tmp_path / "good.md").write_text(GOOD)
    with ExitStack() as stack:

        def make(**limits: Any) -> ReaderProcess:
            reader = ReaderProcess(tmp_path, model_dir / TOKENIZER_FILE, 256, **limits)
            return stack.enter_context(closing(reader))

        yield make


def is_read(reader: ReaderProcess) -> bool:
    answer = reader.read("good.md")
    return isinstance(answer, SplitDocument) and answer.document.text == GOOD


def test_answer_is_what_loader_and_chunker_make(make_reader: Callable[..., ReaderProcess], chunker: Chunker) -> None:
    """The process adds nothing and loses nothing."""
    answer = make_reader().read("good.md")
    assert isinstance(answer, SplitDocument)
    assert answer.document.title == "Leave"
    assert answer.chunks == tuple(chunker.split(answer.document))


def test_file_that_takes_too_long_is_skipped(make_reader: Callable[..., ReaderProcess], tmp_path: Path) -> None:
    """The limit is for the file; a process is started anew for the next one."""
    (tmp_path / "slow.md").write_text("A sentence of some length, and more. " * 400_000)
    reader = make_reader(limit_s=2)
    skipped = reader.read("slow.md")
    assert isinstance(skipped, Skipped)
    assert skipped.reason == "reading it takes more than 2 s; split it"
    assert is_read(reader)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the limit counts from what Linux says is in use")
def test_file_that_wants_too_much_memory_is_skipped(make_reader: Callable[..., ReaderProcess], tmp_path: Path) -> None:
    """Whether the library raises or dies of it."""
    (tmp_path / "deep.html").write_text("<p>word</p>" * 500_000)
    reader = make_reader(limit_mb=200)
    skipped = reader.read("deep.html")
    assert isinstance(skipped, Skipped)
    assert "memory" in skipped.reason or "crashes" in skipped.reason
    assert is_read(reader)


def test_file_that_kills_its_process_is_skipped(make_reader: Callable[..., ReaderProcess]) -> None:
    """As a fault in a library would."""
    reader = make_reader()
    assert is_read(reader)
    assert reader._process is not None
    os.kill(reader._process.pid, signal.SIGKILL)
    skipped = reader.read("good.md")
    assert isinstance(skipped, Skipped)
    assert "SIGKILL" in skipped.reason
    assert is_read(reader)


def test_results_come_in_the_order_of_the_paths(tmp_path: Path, model_dir: Path) -> None:
    """However long each takes, on however many cores."""
    paths = [f"{number:02}.md" for number in range(20)]
    for number, path in enumerate(paths):
        (tmp_path / path).write_text("Some words of a sentence. " * (1 + 2000 * (number % 3 == 0)))
    (tmp_path / "07.md").unlink()
    results = list(read_files(tmp_path, paths, model_dir / TOKENIZER_FILE, ModelCard.load(model_dir).max_tokens))
    named = [item.path if isinstance(item, Skipped) else item.document.path for item in results]
    assert named == paths
    assert [item.path for item in results if isinstance(item, Skipped)] == ["07.md"]
