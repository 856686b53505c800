"""Indexes to ask, opened as the server opens them: the one that is served, or one built from a set's documents."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from src.artifacts import TOKENIZER_FILE, ModelCard
from src.embedding.embedding_service import EmbeddingService
from src.ingestion.chunker import Chunker
from src.ingestion.corpus import Corpus
from src.ingestion.index_builder import draft_manifest, write_index
from src.ingestion.kept_embeddings import KeptEmbeddings
from src.ingestion.parallel_encoder import ParallelEncoder
from src.ingestion.reader_process import SplitDocument
from src.rag.rag_pipeline import RAGPipeline
from src.records import Document
from src.retrieval.index import Index, open_index


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

    index: Index
    pipeline: RAGPipeline
    stopwatch: Stopwatch


@contextmanager
def serve_index(index_dir: Path, model_dir: Path) -> Iterator[Served]:
    """Open an index and the model it was built with."""
    stopwatch = Stopwatch()
    embed = stopwatch.wrap("embed", EmbeddingService.load(model_dir).embed)
    remembered = cache(lambda question: embed([question]))  # each is asked once for its answer, then for its ranks
    encoder: Any = SimpleNamespace(embed=lambda texts: remembered(texts[0]))
    with closing(open_index(index_dir, model_dir=model_dir, get_encoder=lambda: encoder)) as index:
        timed: Any = SimpleNamespace(search=stopwatch.wrap("search", index.search))
        pipeline = RAGPipeline(timed, generator=None, relevance_floor=index.manifest.relevance_floor)
        pipeline.answer = stopwatch.wrap("answer", pipeline.answer)  # type: ignore[method-assign]
        yield Served(index, pipeline, stopwatch)


@contextmanager
def serve_documents(documents: Sequence[Document], model_dir: Path, cache_dir: Path) -> Iterator[Served]:
    """Build an index in a scratch folder by the project's own build and open it."""
    card = ModelCard.load(model_dir)
    chunker = Chunker(model_dir / TOKENIZER_FILE, card.max_tokens)
    cache_dir.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder, closing(Corpus(cache_dir)) as corpus:
        for document in documents:
            corpus.add(SplitDocument(document, tuple(chunker.split(document))))
        with closing(KeptEmbeddings(cache_dir / f"embeddings-{card.fingerprint}.sqlite3")) as kept:
            draft = draft_manifest(chunker.description, card, corpus)
            write_index(Path(folder), corpus, draft, kept, cache(partial(ParallelEncoder, model_dir)))
        with serve_index(Path(folder), model_dir) as served:
            yield served
