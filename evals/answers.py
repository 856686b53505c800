"""How good the extractive answers and the refusals are, and what they cost, from one run over the questions."""

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass

from evals.datasets import Question
from evals.serving import Served
from src.records import Answer, MemoryMode

# A gold answer of more words is an essay: that it is held word for word cannot be expected.
MAX_GOLD_WORDS = 12

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_MARKER = re.compile(r"\[\d+\]")
_PUNCTUATION = str.maketrans(string.punctuation, " " * len(string.punctuation))


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and the answer to it."""

    question: Question
    answer: Answer


def ask(served: Served, questions: Sequence[Question], top_k: int) -> list[Asked]:
    """Ask every question."""
    return [
        Asked(
            question,
            served.pipeline.answer(question.text, history=question.history, top_k=top_k, mode=MemoryMode.NORMAL),
        )
        for question in questions
    ]


def measure_answers(asked: Sequence[Asked]) -> dict[str, float]:
    """Judge the answers to the questions that have one; a refusal counts as a miss.

    `has_gold`: share of answers that hold the gold one, word for word after SQuAD's normalisation; of the questions
    whose gold answer is short, and left out where none is. `cites_gold`: share that cite a passage that answers.
    `words`: of an answer that is not a refusal, on average.
    """
    answerable = [item for item in asked if item.question.golds]
    given = [_MARKER.sub("", item.answer.text) for item in answerable if item.answer.grounded]
    measures = {
        "questions": float(len(answerable)),
        "cites_gold": _share([cites_gold(item.question, item.answer) for item in answerable]),
        "words": sum(len(text.split()) for text in given) / max(1, len(given)),
    }
    short = [item for item in answerable if _is_short(item.question)]
    if short:
        held = [item.answer.grounded and holds(item.answer.text, item.question.answers) for item in short]
        measures["has_gold"] = _share(held)
    return measures


def measure_refusals(asked: Sequence[Asked]) -> dict[str, float]:
    """Judge what is refused, and what is answered with a word of doubt.

    `recall`: share of the questions without an answer in the documents that are refused; `doubted`: refused or marked
    as uncertain. `precision`: share of the refused that have no answer. `false_refusals`, `uncertain`: share of the
    questions with an answer that are refused, or marked as uncertain.
    """
    wrongly = [not item.answer.grounded for item in asked if item.question.golds]
    rightly = [not item.answer.grounded for item in asked if not item.question.golds]
    return {
        "questions": float(len(rightly)),
        "recall": _share(rightly),
        "doubted": _share([_is_doubted(item) for item in asked if not item.question.golds]),
        "precision": sum(rightly) / max(1, sum(rightly) + sum(wrongly)),
        "false_refusals": _share(wrongly),
        "uncertain": _share([_is_doubted(item) and item.answer.grounded for item in asked if item.question.golds]),
    }


def measure_cpu(served: Served, answers: int) -> dict[str, float]:
    """Return the CPU ms of an answer, by part."""
    cpu_ms = {name: seconds * 1000 / answers for name, seconds in served.cpu_s.items()}
    return {
        "embed": cpu_ms["embed"],
        "search": cpu_ms["search"] - cpu_ms["embed"],
        "write": cpu_ms["answer"] - cpu_ms["search"],
        "total": cpu_ms["answer"],
    }


def cites_gold(question: Question, answer: Answer) -> bool:
    """Tell whether a citation is of a passage that answers."""
    cited = [answer.retrieval.hits[citation.marker - 1].chunk for citation in answer.citations]
    return any(gold.is_in(chunk) for gold in question.golds for chunk in cited)


def holds(text: str, answers: Sequence[Sequence[str]]) -> bool:
    """Tell whether each part of the gold answer is in the text, in one of its forms, as whole words."""
    words = f" {_normalise(_MARKER.sub('', text))} "
    return all(any(f" {_normalise(form)} " in words for form in part) for part in answers)


def _normalise(text: str) -> str:
    """Fold case, articles and punctuation as SQuAD's own measure does (Rajpurkar et al. 2016)."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def _is_doubted(item: Asked) -> bool:
    return not item.answer.grounded or item.answer.notice is not None


def _is_short(question: Question) -> bool:
    return bool(question.answers) and all(
        any(len(form.split()) <= MAX_GOLD_WORDS for form in part) for part in question.answers
    )


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / max(1, len(flags))
