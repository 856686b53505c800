"""A build's parsing and embedding as Ray Data pipelines, on a local cluster or a given one (requirements-ray.txt).

The machines of a cluster see nothing of this one's disk. The documents' bytes and the texts go through Ray's object
store; `src` and the model go to each machine once, as the workers' runtime environment. When a worker dies, Ray gives
what it was doing to another one.
"""

import logging
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

import src
from src.artifacts import ModelCard
from src.config import Config, set_for_library
from src.embedding.embedding_service import EmbeddingService
from src.errors import BuildError, UnreadableDocument
from src.ingestion.loader import Skipped, read_file
from src.ingestion.parser_process import ParserProcesses, SplitDocument

T = TypeVar("T")
# Files go to a worker together up to this size: some seconds of work.
_JOB_BYTES = 1_000_000


class RayEngine:
    """A connection to a cluster."""

    def __init__(self, config: Config, address: str | None) -> None:
        """Connect, or start a cluster of this machine's cores that ends with the connection.

        Args:
            address: such as `10.0.0.1:6379`; this machine must be part of that cluster.

        Raises:
            BuildError: there is no such cluster, or it cannot do this build.
        """
        if config.embedding_backend != "onnx":
            raise BuildError("--engine ray embeds with the exported model. Leave --backend out, or --engine.")
        if address is not None and "://" in address:
            raise BuildError(
                f"Ray Data does not run over {address}. Run the build on a machine of the cluster with --ray-address "
                "host:6379, or hand it in with: ray job submit"
            )
        import ray  # noqa: F401 - so that its absence shows

        ModelCard.load(config.model_dir)  # so that the absence of a model shows, too
        set_for_library("RAY_USAGE_STATS_ENABLED", "0")
        with _translated(f"The Ray cluster {address or 'of this machine'} cannot be used"):
            _connect(address, config.model_dir)

    def parse(self, folder: Path, paths: Sequence[str]) -> Iterator[SplitDocument | Skipped]:
        """Parse and split files; what cannot be read here comes last."""
        skipped: list[Skipped] = []
        for items in _run(_parse, _iter_files(folder, paths, skipped)):
            yield from items
        yield from skipped

    def embed(self, batches: Iterable[tuple[T, list[str]]]) -> Iterator[tuple[T, NDArray[np.float32]]]:
        """Embed batches of texts."""
        return _run(_embed, batches)

    def close(self) -> None:
        """Leave the cluster; a local one ends."""
        import ray

        ray.shutdown()


def _connect(address: str | None, model_dir: Path) -> None:
    import ray
    from ray.data import DataContext

    ray.init(
        address=address or "local",
        include_dashboard=None if address else False,
        runtime_env={"working_dir": str(model_dir.resolve()), "py_modules": [str(Path(src.__path__[0]))]},
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what it says comes in the exception too
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True


def _iter_files(folder: Path, paths: Sequence[str], skipped: list[Skipped]) -> Iterator[list[tuple[str, bytes]]]:
    """Read files, some at a time; those that cannot be read go to the skipped ones."""
    files: list[tuple[str, bytes]] = []
    size = 0
    for path in paths:
        try:
            data = read_file(folder, path)
        except UnreadableDocument as exc:
            skipped.append(Skipped(path, str(exc)))
            continue
        files.append((path, data))
        size += len(data)
        if size > _JOB_BYTES:
            yield files
            files, size = [], 0
    if files:
        yield files


def _run(work: Callable[[Any], Any], jobs: Iterable[Any]) -> Iterator[Any]:
    """Do the jobs on the cluster; results come in their order. The jobs wait in Ray's object store, not here."""
    import pyarrow
    import ray

    def work_on(row: dict[str, Any]) -> dict[str, Any]:
        return {"result": pickle.dumps(work(pickle.loads(row["job"])))}  # noqa: S301 - of this build

    with _translated("The Ray cluster failed, and what was embedded is kept for the next build"):
        blocks = [ray.put(pyarrow.table({"job": [pickle.dumps(job)]})) for job in jobs]
        if blocks:
            for row in ray.data.from_arrow_refs(blocks).map(work_on).iter_rows():
                yield pickle.loads(row["result"])  # noqa: S301 - of this build's own workers


def _parse(files: list[tuple[str, bytes]]) -> list[SplitDocument | Skipped]:
    """Do one job on a worker: parse and split these files in its parser process."""
    with TemporaryDirectory() as folder:
        for path, data in files:
            file = Path(folder, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        return list(_get_parser_process().parse(Path(folder), [path for path, _ in files]))


def _embed(job: tuple[T, list[str]]) -> tuple[T, NDArray[np.float32]]:
    """Do one job on a worker: embed these texts."""
    label, texts = job
    return label, _get_encoder().embed(texts)


@cache
def _get_parser_process() -> ParserProcesses:
    return ParserProcesses(1, Path())  # a worker is in the model's folder


@cache
def _get_encoder() -> EmbeddingService:
    return EmbeddingService.load(Path())


@contextmanager
def _translated(what: str) -> Iterator[None]:
    from ray.exceptions import RayError

    try:
        yield
    except (RayError, ConnectionError, RuntimeError, ValueError) as exc:
        # A worker's traceback comes before what Ray says of it.
        said = str(exc).partition("\n\nThe above exception")[0].strip().splitlines()
        raise BuildError(f"{what}: {said[-1] if said else type(exc).__name__}") from exc
