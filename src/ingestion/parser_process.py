"""Parses and splits files in parser processes, so that no file can stop a build, hang it, or eat its memory.

A file whose process dies, takes too long or wants too much memory is skipped with that reason, and the next file gets a
new process. pebble starts the processes, ends them and reports how each one ended.
"""

import os
import resource
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from src.ingestion.chunker import Chunker
from src.ingestion.loader import Skipped, load_document
from src.ingestion.parsers.archive import describe
from src.records import Chunk, Document

if TYPE_CHECKING:
    from pebble import ProcessFuture

# Files parsed ahead of the one that is waited for, for each process.
PARSED_AHEAD = 4
# How a parser process ends itself when it has no memory left.
_NO_MEMORY = 97


@dataclass(frozen=True, slots=True)
class SplitDocument:
    """A document and its chunks."""

    document: Document
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may take: seconds by the clock, and memory above what the process needs to start."""

    seconds: float = 120
    megabytes: int = 1024


class ParserProcesses:
    """Some parser processes, which start when the first file comes.

    Raises:
        ModuleNotFoundError: the splitter's library is not installed.
    """

    def __init__(self, count: int, model_dir: Path, limits: Limits = Limits()) -> None:
        import semantic_text_splitter  # noqa: F401 - so that its absence shows at the start
        from pebble import ProcessPool

        self._pool = ProcessPool(max_workers=count, context=get_context("spawn"))
        self._ahead = PARSED_AHEAD * count
        self._model_dir = model_dir.absolute()
        self._limits = limits

    def parse(self, folder: Path, paths: Sequence[str]) -> Iterator[SplitDocument | Skipped]:
        """Parse and split files, given by their paths relative to the folder; results come in their order.

        Raises:
            ModuleNotFoundError: a parser's library is not installed.
        """
        waiting: deque[tuple[str, ProcessFuture[SplitDocument | Skipped]]] = deque()
        for path in paths:
            arguments = (folder, path, self._model_dir, self._limits)
            waiting.append((path, self._pool.schedule(_parse, arguments, timeout=self._limits.seconds)))
            if len(waiting) > self._ahead:
                yield self._wait(*waiting.popleft())
        while waiting:
            yield self._wait(*waiting.popleft())

    def close(self) -> None:
        """End the processes."""
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()

    def _wait(self, path: str, future: "ProcessFuture[SplitDocument | Skipped]") -> SplitDocument | Skipped:
        from pebble import ProcessExpired

        try:
            return future.result()
        except TimeoutError:
            return Skipped(path, f"parsing it takes more than {self._limits.seconds:g} s; split it")
        except ProcessExpired as exc:
            if exc.exitcode == _NO_MEMORY:
                return Skipped(path, f"parsing it takes more than {self._limits.megabytes:,} MB of memory; split it")
            end = signal.Signals(-exc.exitcode).name if exc.exitcode < 0 else f"exit status {exc.exitcode}"
            return Skipped(path, f"parsing it crashes its parser ({end}); it is damaged, or too large")


@cache
def _become_parser(model_dir: Path, limit_mb: int) -> Chunker:
    """Make this process a parser process: silent, without core dumps, and with a limit on its memory."""
    silence = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(silence, descriptor)
    chunker = Chunker(model_dir)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_AS, _address_space() + limit_mb * 1_000_000)
    return chunker


def _parse(folder: Path, path: str, model_dir: Path, limits: Limits) -> SplitDocument | Skipped:
    """Parse and split one file; ends the process when the memory does not suffice."""
    chunker = _become_parser(model_dir, limits.megabytes)
    # The kernel ends a parser process that outlives a killed build.
    used = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + limits.seconds) + 1)
    try:
        document = load_document(folder, path)
        if isinstance(document, Skipped):
            return document
        return SplitDocument(document, tuple(chunker.split(document)))
    except MemoryError:
        os._exit(_NO_MEMORY)
    except ModuleNotFoundError:
        raise
    except Exception as exc:  # noqa: BLE001 - whatever a library throws at a file it was not made for
        return Skipped(path, f"its parser fails ({describe(exc)})")


def _limit(what: int, value: int) -> None:
    with suppress(ValueError, OSError):  # not every system has every limit
        resource.setrlimit(what, (value, resource.getrlimit(what)[1]))


def _address_space() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def count_cores() -> int:
    """Count the cores this process may use, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
