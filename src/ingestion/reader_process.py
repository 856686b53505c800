"""Reads and splits files in processes of their own, so that no file can stop a build, hang it, or eat its memory.

A file whose process dies, takes too long or wants too much memory is skipped with that reason, and the next file gets a
new process. Run as a module, this is such a process: it answers paths with documents on the socket it was given.
"""

import resource
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue

from src.errors import BuildError
from src.ingestion.chunker import Chunker
from src.ingestion.cores import count_cores
from src.ingestion.loader import Skipped, load_document
from src.records import Chunk, Document

FILE_LIMIT_S = 120
FILE_LIMIT_MB = 1024
START_LIMIT_S = 120
# Files read ahead of the one that is waited for, for each process.
READ_AHEAD = 4
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class SplitDocument:
    """A document and its passages."""

    document: Document
    chunks: tuple[Chunk, ...]


def read_files(
    folder: Path, paths: Sequence[str], tokenizer_file: Path, max_tokens: int
) -> Iterator[SplitDocument | Skipped]:
    """Read and split files, given by their paths relative to the folder, on all cores; results come in their order.

    Raises:
        ModuleNotFoundError: a reader's library is not installed.
        BuildError: no process can be started.
    """
    count = count_cores()
    idle: SimpleQueue[ReaderProcess] = SimpleQueue()

    def read(path: str) -> SplitDocument | Skipped:
        reader = idle.get()
        try:
            return reader.read(path)
        finally:
            idle.put(reader)

    with ExitStack() as stack:
        for _ in range(min(count, len(paths))):
            idle.put(stack.enter_context(closing(ReaderProcess(folder, tokenizer_file, max_tokens))))
        pool = stack.enter_context(ThreadPoolExecutor(count))
        waiting: deque[Future[SplitDocument | Skipped]] = deque()
        stack.callback(lambda: [future.cancel() for future in waiting])
        for path in paths:
            waiting.append(pool.submit(read, path))
            if len(waiting) > READ_AHEAD * count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


class ReaderProcess:
    """One process that reads, started when it is first needed and again after a file has killed it."""

    def __init__(self, folder: Path, tokenizer_file: Path, max_tokens: int, *, limit_s: float = FILE_LIMIT_S,
                 limit_mb: int = FILE_LIMIT_MB) -> None:  # fmt: skip
        self._arguments = (str(folder.absolute()), str(tokenizer_file.absolute()), str(max_tokens), str(limit_mb))
        self._limit_s = limit_s
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection[object, object] | None = None

    def read(self, path: str) -> SplitDocument | Skipped:
        """Read one file; it is skipped when the process does not survive it."""
        connection = self._connection or self._start()
        try:
            connection.send(path)
            if not connection.poll(self._limit_s):
                self.close()
                return Skipped(path, f"reading it takes more than {self._limit_s:g} s; split it")
            answer = connection.recv()
        except (EOFError, OSError):
            return Skipped(path, f"reading it crashes its reader ({self._end()}); it is damaged, or too large")
        if isinstance(answer, SplitDocument | Skipped):
            return answer
        self.close()  # what a failure has left of it, memory above all, is not for the next file
        if isinstance(answer, ModuleNotFoundError):
            raise answer
        return Skipped(path, str(answer))

    def close(self) -> None:
        """Kill the process."""
        if self._process is not None and self._connection is not None:
            self._connection.close()
            self._process.kill()
            self._process.wait()
        self._process = self._connection = None

    def _start(self) -> "Connection[object, object]":
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "src.ingestion.reader_process", str(theirs.fileno()), *self._arguments]
        with theirs:
            self._process = subprocess.Popen(
                command, cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        self._connection = Connection(ours.detach())
        ready = self._connection.recv() if self._connection.poll(START_LIMIT_S) else "it does not answer"
        if ready is not None:
            self.close()
            raise ready if isinstance(ready, ModuleNotFoundError) else BuildError(f"No reader can be started: {ready}")
        return self._connection

    def _end(self) -> str:
        assert self._process is not None
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)
        code = self._process.poll()
        self.close()
        return signal.Signals(-code).name if code is not None and code < 0 else f"exit status {code}"


def _serve(connection: "Connection[object, object]", folder: Path, chunker: Chunker, limit_mb: int) -> None:
    """Answer paths until the other side is gone."""
    connection.send(None)
    while True:
        try:
            path = connection.recv()
        except EOFError:
            return
        # The kernel ends a reader that outlives a killed build.
        used = resource.getrusage(resource.RUSAGE_SELF)
        _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + FILE_LIMIT_S + 1)
        connection.send(_read(folder, str(path), chunker, limit_mb))


def _read(
    folder: Path, path: str, chunker: Chunker, limit_mb: int
) -> SplitDocument | Skipped | ModuleNotFoundError | str:
    """Give the document, or why there is none; a failure that the process should not survive is a bare string."""
    try:
        document = load_document(folder, path)
        if isinstance(document, Skipped):
            return document
        return SplitDocument(document, tuple(chunker.split(document)))
    except MemoryError:
        return f"reading it takes more than {limit_mb:,} MB of memory; split it"
    except ModuleNotFoundError as exc:
        return exc
    except Exception as exc:  # noqa: BLE001 - whatever a library throws at a file it was not made for
        said = " ".join(str(exc).split())[:200]
        return f"its reader fails ({type(exc).__name__}: {said})"


def _limit(what: int, value: int) -> None:
    with suppress(ValueError, OSError):  # not every system has every limit
        resource.setrlimit(what, (value, resource.getrlimit(what)[1]))


def _address_space() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def main(arguments: Sequence[str]) -> None:
    """Be a reader on the socket whose number is the first argument."""
    number, folder, tokenizer_file, max_tokens, limit_mb = arguments
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the build's business; it closes the socket
    with Connection(int(number)) as connection, suppress(BrokenPipeError, ConnectionResetError):
        try:
            import semantic_text_splitter  # noqa: F401 - so that its absence is told at the start

            chunker = Chunker(Path(tokenizer_file), int(max_tokens))
        except ModuleNotFoundError as exc:
            connection.send(exc)
            return
        _limit(resource.RLIMIT_AS, _address_space() + int(limit_mb) * 1_000_000)
        _limit(resource.RLIMIT_CORE, 0)
        _serve(connection, Path(folder), chunker, int(limit_mb))


if __name__ == "__main__":
    # `-m` names this module __main__: what crosses the socket must be of the module that the build knows.
    from src.ingestion import reader_process

    reader_process.main(sys.argv[1:])
