"""One set through everything: retrieval, answers, refusals, and the CPU time of an answer."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from evals.answers import ask, measure_answers, measure_cpu, measure_refusals
from evals.datasets import EvalSet, Question
from evals.retrieval import KINDS, measure_retrieval
from evals.server import measure_sameness
from evals.serving import Served, serve_documents, serve_index
from src.config import Config
from src.records import Document

Measures = dict[str, dict[str, float]]

# The articles of a smaller set are about one thing: one half would answer the other's questions.
MIN_ARTICLES = 20


def evaluate(dataset: EvalSet, config: Config, cache_dir: Path) -> Measures:
    """Measure everything that the set has gold for; groups of measures by name."""
    measures: Measures = {}
    with _serve(dataset.documents, config, cache_dir) as served:
        if dataset.has_answers:
            asked = ask(served, dataset.questions, config.top_k)
            measures["answers"] = measure_answers(asked)
            measures["cpu_ms"] = measure_cpu(served, len(asked))
            if not all(question.golds for question in dataset.questions):
                measures["refusals"] = measure_refusals(asked)
        for kind in KINDS:
            measures[kind] = measure_retrieval(served.index, dataset.questions, kind)
        if config.chroma_url:
            measures["server"] = measure_sameness(served, dataset.questions, config)
    if dataset.has_answers and dataset.documents and len({item.title for item in dataset.documents}) >= MIN_ARTICLES:
        kept, questions = halve(dataset.documents, dataset.questions)
        with _serve(kept, config, cache_dir) as served:
            measures["halves"] = measure_refusals(ask(served, questions, config.top_k))
    return measures


def halve(
    documents: Sequence[Document], questions: Sequence[Question]
) -> tuple[tuple[Document, ...], tuple[Question, ...]]:
    """Keep every other article, and of the questions on the articles left out only that nothing answers them."""
    titles = set(sorted({document.title for document in documents})[::2])
    kept = tuple(document for document in documents if document.title in titles)
    paths = {document.path for document in kept}
    return kept, tuple(_ask_of(paths, questions))


def _ask_of(paths: set[str], questions: Sequence[Question]) -> Iterator[Question]:
    for question in questions:
        if question.golds:
            is_kept = any(gold.document in paths for gold in question.golds)
            yield question if is_kept else replace(question, golds=())


def _serve(documents: tuple[Document, ...] | None, config: Config, cache_dir: Path) -> AbstractContextManager[Served]:
    if documents is None:
        return serve_index(config.index_dir, config.model_dir)
    return serve_documents(documents, config.model_dir, cache_dir)
