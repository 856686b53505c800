"""Where a build's heavy work is done: on this machine's cores here, on a cluster in `ray_engine.py`.

Both give the same index, to the byte in its texts and embeddings.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from src.ingestion.loader import Skipped
from src.ingestion.parser_process import ParserProcesses, SplitDocument, count_cores
from src.retrieval.index import Encoder

T = TypeVar("T")


class Engine(Protocol):
    """Parses and embeds; results come in the order of what is given."""

    def parse(self, folder: Path, paths: Sequence[str]) -> Iterator[SplitDocument | Skipped]:
        """Parse and split files, given by their paths relative to the folder."""

    def embed(self, batches: Iterable[tuple[T, list[str]]]) -> Iterator[tuple[T, NDArray[np.float32]]]:
        """Embed batches of texts; each comes back with what stood beside it, as (texts, dimension) of norm 1."""


class LocalEngine:
    """This machine's cores, or its GPU."""

    def __init__(self, model_dir: Path, get_encoder: Callable[[], Encoder]) -> None:
        self._model_dir = model_dir
        self._get_encoder = get_encoder

    def parse(self, folder: Path, paths: Sequence[str]) -> Iterator[SplitDocument | Skipped]:
        """Parse in a process for each core."""
        count = max(1, min(count_cores(), len(paths)))
        with closing(ParserProcesses(count, self._model_dir)) as processes:
            yield from processes.parse(folder, paths)

    def embed(self, batches: Iterable[tuple[T, list[str]]]) -> Iterator[tuple[T, NDArray[np.float32]]]:
        """Embed one batch after the other; the encoder is loaded when the first one comes."""
        for label, texts in batches:
            yield label, self._get_encoder().embed(texts)
