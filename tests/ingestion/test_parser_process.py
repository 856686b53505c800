"""No file stops a build, hangs it or eats its memory: it is skipped with the reason, and the next one is parsed."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from src.ingestion import parser_process
from src.ingestion.chunker import Chunker
from src.ingestion.loader import Skipped
from src.ingestion.parser_process import Limits, ParserProcesses, SplitDocument
from src.records import Document
from tests.conftest import wait_until

GOOD = "# Leave\n\nEveryone has 25 days of leave.\n"


def parse(folder: Path, model_dir: Path, *paths: str, limits: Limits = Limits()) -> list[SplitDocument | Skipped]:  # noqa: B008
    (folder / "good.md").write_text(GOOD)
    with closing(ParserProcesses(2, model_dir, limits)) as processes:
        return list(processes.parse(folder, paths))


def require_good(*items: SplitDocument | Skipped) -> None:
    for item in items:
        assert isinstance(item, SplitDocument)
        assert item.document.text == GOOD


def test_answer_is_what_loader_and_chunker_make(tmp_path: Path, model_dir: Path, chunker: Chunker) -> None:
    """The process adds nothing and loses nothing."""
    [item] = parse(tmp_path, model_dir, "good.md")
    assert isinstance(item, SplitDocument)
    assert item.document.title == "Leave"
    assert item.chunks == tuple(chunker.split(item.document))


def test_file_that_takes_too_long_is_skipped(tmp_path: Path, model_dir: Path) -> None:
    """The limit is for one file; the files after it are parsed."""
    (tmp_path / "slow.md").write_text("A sentence of some length, and more. " * 400_000)
    slow, *good = parse(tmp_path, model_dir, "slow.md", *["good.md"] * 4, limits=Limits(seconds=4))
    assert slow == Skipped("slow.md", "parsing it takes more than 4 s; split it")
    require_good(*good)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the limit counts from what Linux says is in use")
def test_file_that_wants_too_much_memory_is_skipped(tmp_path: Path, model_dir: Path) -> None:
    """Whether the library raises or dies of it, nothing of it is left for the next file."""
    (tmp_path / "deep.html").write_text("<p>word</p>" * 500_000)
    deep, *good = parse(tmp_path, model_dir, "deep.html", *["good.md"] * 4, limits=Limits(megabytes=200))
    assert isinstance(deep, Skipped)
    assert "more than 200 MB of memory" in deep.reason or "crashes its parser" in deep.reason
    require_good(*good)


def test_file_that_kills_its_process_is_skipped(tmp_path: Path, model_dir: Path) -> None:
    """As a fault in a library would."""
    (tmp_path / "slow.md").write_text("A sentence of some length, and more. " * 400_000)
    before = {process.pid for process in psutil.Process().children(recursive=True)}

    def busy() -> list[int]:
        children = psutil.Process().children(recursive=True)
        return [child.pid for child in children if child.pid not in before and child.cpu_times().user > 1.5]

    with ThreadPoolExecutor(1) as pool:
        parsing = pool.submit(parse, tmp_path, model_dir, "slow.md", "good.md", "good.md")
        wait_until(busy, what="a parser process at work")
        os.kill(busy()[0], signal.SIGKILL)
        killed, *good = parsing.result()
    assert killed == Skipped("slow.md", "parsing it crashes its parser (SIGKILL); it is damaged, or too large")
    require_good(*good)


def test_results_come_in_the_order_of_the_paths(tmp_path: Path, model_dir: Path) -> None:
    """However long each takes, on however many cores."""
    paths = [f"{number:02}.md" for number in range(20)]
    for number, path in enumerate(paths):
        (tmp_path / path).write_text("Some words of a sentence. " * (1 + 2000 * (number % 3 == 0)))
    (tmp_path / "07.md").unlink()
    results = parse(tmp_path, model_dir, *paths)
    named = [item.path if isinstance(item, Skipped) else item.document.path for item in results]
    assert named == paths
    assert [item.path for item in results if isinstance(item, Skipped)] == ["07.md"]


def test_reason_of_a_failing_parser_holds_no_place_in_memory(
    tmp_path: Path, model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest keeps it, so a place in memory would make each build another one."""

    def fail(folder: Path, path: str) -> Document:
        raise RuntimeError(f"cannot read {object()} of the file")

    monkeypatch.setattr(parser_process, "load_document", fail)
    monkeypatch.setattr(parser_process, "_become_parser", lambda *_: None)  # this process stays as it is
    monkeypatch.setattr(parser_process, "_limit", lambda *_: None)
    skipped = parser_process._parse(tmp_path, "odd.md", model_dir, Limits())
    assert skipped == Skipped("odd.md", "its parser fails (RuntimeError: cannot read <object object> of the file)")
