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

from src.artifacts import LEXICAL_FILE, TOKENIZER_FILE, Manifest, ModelCard
from src.embedding.embedding_service import EmbeddingService
from src.ingestion.chunker import Chunker
from src.ingestion.corpus import Corpus
from src.ingestion.index_builder import draft_manifest, write_index
from src.ingestion.kept_embeddings import KeptEmbeddings
from src.ingestion.parallel_encoder import ParallelEncoder
from src.ingestion.reader_process import SplitDocument
from src.rag.rag_pipeline import RAGPipeline
from src.records import Document
from src.retrieval.lexical_index import LexicalIndex
from src.retrieval.passage_store import PassageStore
from src.retrieval.retriever import Retriever
from src.retrieval.vector_store import VectorStore


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

    manifest: Manifest
    retriever: Retriever
    passages: PassageStore
    pipeline: RAGPipeline
    stopwatch: Stopwatch


@contextmanager
def serve_index(index_dir: Path, model_dir: Path) -> Iterator[Served]:
    """Open an index and the model it was built with."""
    manifest = Manifest.load(index_dir)
    manifest.require_match(ModelCard.load(model_dir))
    stopwatch = Stopwatch()
    embed = stopwatch.wrap("embed", EmbeddingService.load(model_dir).embed)
    remembered = cache(lambda question: embed([question]))  # each is asked once for its answer, then for its ranks
    encoder: Any = SimpleNamespace(embed=lambda texts: remembered(texts[0]))
    passages = PassageStore.open(index_dir / LEXICAL_FILE)
    vectors = VectorStore.open(index_dir, manifest)
    try:
        retriever = Retriever(passages, LexicalIndex(passages.database), lambda: encoder, lambda: vectors)
        timed: Any = SimpleNamespace(search=stopwatch.wrap("search", retriever.search))
        pipeline = RAGPipeline(timed, generator=None, relevance_floor=manifest.relevance_floor)
        pipeline.answer = stopwatch.wrap("answer", pipeline.answer)  # type: ignore[method-assign]
        yield Served(manifest, retriever, passages, pipeline, stopwatch)
    finally:
        vectors.close()
        passages.close()


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
