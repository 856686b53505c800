"""Indexes to ask, opened as the server opens them: the one that is served, or one built from a set's documents."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from src.artifacts import ModelCard
from src.embedding.embedding_service import EmbeddingService
from src.ingestion.chunker import Chunker
from src.ingestion.encoder import ParallelEncoder
from src.ingestion.engines import LocalEngine
from src.ingestion.kept_embeddings import KeptEmbeddings
from src.ingestion.new_index import NewIndex
from src.ingestion.parser_process import SplitDocument
from src.rag.rag_pipeline import RAGPipeline
from src.rag.relevance import Floors
from src.records import Document
from src.retrieval.index import Encoder, Index, open_index


@dataclass
class Stopwatch:
    """Adds up the CPU time of this process in the calls it wraps, in seconds, by name."""

    cpu_s: Counter[str] = field(default_factory=Counter)

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, timed."""

        def timed(*args: Any, **options: Any) -> Any:
            started = time.process_time()
            try:
                return function(*args, **options)
            finally:
                self.cpu_s[name] += time.process_time() - started

        return timed


@dataclass(frozen=True)
class Served:
    """An open index; `pipeline` answers extractively from it, and `stopwatch` times the parts."""

    index_dir: Path
    index: Index
    encoder: Encoder
    pipeline: RAGPipeline
    stopwatch: Stopwatch


@contextmanager
def serve_index(index_dir: Path, model_dir: Path) -> Iterator[Served]:
    """Open an index and the model it was built with."""
    stopwatch = Stopwatch()
    model = EmbeddingService.load(model_dir)
    embed = cache(
        stopwatch.wrap("embed", model.embed_question)
    )  # each is asked once for its answer, then for its ranks
    encoder: Any = SimpleNamespace(embed_question=embed, find_token=model.find_token)
    with closing(open_index(index_dir, model_dir=model_dir, get_encoder=lambda: encoder)) as index:
        find = stopwatch.wrap("search", index.find_passages)
        timed: Any = SimpleNamespace(find_passages=find, list_titles=index.list_titles)
        pipeline = RAGPipeline(timed, generator=None, floors=Floors.of(index.manifest))
        pipeline.answer = stopwatch.wrap("answer", pipeline.answer)  # type: ignore[method-assign]
        yield Served(index_dir, index, encoder, pipeline, stopwatch)


@contextmanager
def serve_documents(documents: Sequence[Document], model_dir: Path, cache_dir: Path) -> Iterator[Served]:
    """Build an index in a scratch folder by the project's own build and open it."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    kept_file = cache_dir / f"embeddings-{ModelCard.load(model_dir).fingerprint}.sqlite3"
    with TemporaryDirectory() as folder:
        write_index(Path(folder), documents, model_dir, kept_file)
        with serve_index(Path(folder), model_dir) as served:
            yield served


def write_index(folder: Path, documents: Iterable[Document], model_dir: Path, kept_file: Path) -> None:
    """Build an index of documents that are at hand, in an empty folder.

    Args:
        kept_file: embeddings from one call to the next, all of one model.
    """
    card = ModelCard.load(model_dir)
    chunker = Chunker(model_dir)
    get_encoder = cache(partial(ParallelEncoder, model_dir))
    with closing(NewIndex(folder)) as index, closing(KeptEmbeddings(kept_file)) as kept:
        for document in documents:
            index.add(SplitDocument(document, tuple(chunker.split(document))))
        index.embed(kept, LocalEngine(model_dir, get_encoder).embed)
        index.finish(index.specify(card, "onnx", chunker.description), kept, get_encoder)
