"""How well the passages that answer are ranked: nDCG@10, MRR, hit@5 and recall@20, by ir-measures."""

from collections.abc import Iterable, Sequence
from typing import get_args

import ir_measures
from ir_measures import RR, R, Success, nDCG

from evals.datasets import Question
from src.rag.conversation import bound_history, put_in_context
from src.rag.relevance import needed_nearness
from src.records import Hit, RetrievalKind
from src.retrieval.index import Index

MEASURES = {"ndcg@10": nDCG @ 10, "mrr": RR, "hit@5": Success @ 5, "recall@20": R @ 20}
HITS_PER_QUESTION = 60  # enough for 20 different documents
KINDS: tuple[RetrievalKind, ...] = get_args(RetrievalKind)


def measure_retrieval(index: Index, questions: Sequence[Question], kind: RetrievalKind) -> dict[str, float]:
    """Search for each question that has an answer, as the pipeline would."""
    asked = [question for question in questions if question.golds]
    run: dict[str, dict[str, float]] = {}
    for question in asked:
        hits = index.search(_to_query(index, question), limit=HITS_PER_QUESTION, kind=kind).hits
        run[question.question_id] = _first_ranks(question, hits)
    relevant = {
        question.question_id: {str(number): gold.grade for number, gold in enumerate(question.golds)}
        for question in asked
    }
    values = ir_measures.calc_aggregate(MEASURES.values(), relevant, run)
    return {name: values[measure] for name, measure in MEASURES.items()}


def _to_query(index: Index, question: Question) -> str:
    """Put a question into its context where the pipeline would, by what the hybrid search brings."""
    in_context = put_in_context(question.text, bound_history(question.history))
    if in_context is None:
        return question.text
    alone, other = (index.search(query, limit=1) for query in (question.text, in_context))
    return in_context if (other.nearest or 0.0) > needed_nearness(question.text, alone) else question.text


def _first_ranks(question: Question, hits: Iterable[Hit]) -> dict[str, float]:
    """Score each thing found by its first rank: a gold passage, by its number, or anything else.

    Where whole documents are sought, the passages of one document count once.
    """
    by_document = any(gold.is_whole_document for gold in question.golds)
    scores: dict[str, float] = {}
    for rank, hit in enumerate(hits):
        golds = [str(number) for number, gold in enumerate(question.golds) if gold.is_in(hit.chunk)]
        for found in golds or [hit.chunk.document if by_document else hit.chunk.chunk_id]:
            scores.setdefault(found, -float(rank))
    return scores
