"""The measures themselves, by hand."""

from dataclasses import replace

import pytest

from evals.answers import Asked, holds, measure_answers, measure_refusals
from evals.baseline import find_worse
from evals.datasets import Gold, Question
from evals.evaluation import halve
from evals.retrieval import measure_retrieval
from src.rag.citations import cite
from src.records import Answer, Chunk, Document, Hit, MemoryMode, Retrieval


def make_chunk(document: str, number: int = 0) -> Chunk:
    return Chunk(f"{document}#{number}", document, "T", "", None, "Text.", 0, 5, ())


def found(*documents: str) -> Retrieval:
    return Retrieval(tuple(Hit(make_chunk(name, n), 1.0) for n, name in enumerate(documents)), "hybrid", 9, 0, 0)


def asked(question: Question, text: str, retrieval: Retrieval, *markers: int) -> Asked:
    citations = tuple(cite(marker, retrieval.hits[marker - 1].chunk, 0, 5) for marker in markers)
    answered_by = "extractive" if citations else "none"
    answer = Answer(text, bool(citations), answered_by, None, citations, retrieval, MemoryMode.NORMAL, 0, 0)
    return Asked(question, answer)


@pytest.mark.parametrize(
    ("answer", "gold", "expected"),
    [
        ("It has The 27 days! [1]", [["27 days"]], True),
        ("It has 127 days.", [["27 days"]], False),
        ("It opened in March [27].", [["27"]], False),
        ("Kenya's capital", [["Kenya s  capital"]], True),
        ("Five days until 31 March.", [["five days"], ["31 March"]], True),
        ("Five days.", [["five days"], ["31 March"]], False),
        ("In 1973.", [["October", "1973"]], True),
    ],
)
def test_gold_answer_counts_as_whole_words(answer: str, gold: list[list[str]], expected: bool) -> None:
    """Case, articles, punctuation and markers do not count; half a number does not either; each part must be there."""
    assert holds(answer, gold) is expected


def test_answers_are_judged_by_counting() -> None:
    """Right and cited, cited from elsewhere, refused; 3 words and 1. An essay of a gold answer is not looked for."""
    gold = (Gold("a.md"),)
    short, essay = (("27 days",),), (("word " * 13,),)
    items = [
        asked(Question("1", "?", short, gold), "The 27 days. [2]", found("b.md", "a.md"), 2),
        asked(Question("2", "?", essay, gold), "Some. [1]", found("b.md", "a.md"), 1),
        asked(Question("3", "?", short, gold), "No answer, 27 days.", found("a.md")),
    ]
    assert measure_answers(items) == {"questions": 3, "has_gold": 1 / 2, "cites_gold": 1 / 3, "words": 2}


def test_refusals_are_judged_by_counting() -> None:
    """Of two unanswerable ones one is refused and one doubted, of four answerable ones one and one: each a share."""
    answerable, unanswerable = Question("1", "?", (), (Gold("a.md"),)), Question("2", "?")
    given, refused = (found("a.md"), 1), (found("a.md"),)
    items = [asked(answerable, "", *given), asked(answerable, "", *given), asked(answerable, "", *refused),
             doubted(asked(answerable, "", *given)), doubted(asked(unanswerable, "", *given)),
             asked(unanswerable, "", *refused)]  # fmt: skip
    expected = {"questions": 2, "recall": 1 / 2, "doubted": 1, "precision": 1 / 2, "false_refusals": 1 / 4,
                "uncertain": 1 / 4}  # fmt: skip
    assert measure_refusals(items) == pytest.approx(expected)


def doubted(item: Asked) -> Asked:
    """Say that the passage may not answer."""
    return replace(item, answer=replace(item.answer, notice="This may not answer."))


class Scripted:
    """A retriever that finds what it is told to."""

    def __init__(self, *documents: str) -> None:
        self.found = found(*documents)

    def search(self, query: str, *, limit: int, kind: str) -> Retrieval:
        return self.found


def test_passages_of_one_document_count_once() -> None:
    """b, b, a: the gold document a is second, so its reciprocal rank is 1/2 and nDCG 1/log2(3) = .6309."""
    question = Question("1", "?", golds=(Gold("a.md"), Gold("z.md", grade=0)))
    measures = measure_retrieval(Scripted("b.md", "b.md", "a.md"), [question], "hybrid")  # type: ignore[arg-type]
    assert measures["mrr"] == pytest.approx(1 / 2)
    assert measures["ndcg@10"] == pytest.approx(0.6309, abs=1e-4)
    assert (measures["hit@5"], measures["recall@20"]) == (1, 1)


def test_passages_are_counted_where_a_passage_is_sought() -> None:
    """The same, but for quotes: b, b, a are three passages, and a is third. One of two gold passages is found."""
    question = Question("1", "?", golds=(Gold("a.md", quote="Text."), Gold("z.md", quote="Text.")))
    measures = measure_retrieval(Scripted("b.md", "b.md", "a.md"), [question], "hybrid")  # type: ignore[arg-type]
    assert measures["mrr"] == pytest.approx(1 / 3)
    assert measures["recall@20"] == pytest.approx(1 / 2)


def test_halves_ask_about_what_is_not_there() -> None:
    """Of A, B, C the first and third stay, and nothing answers a question on B; unanswerable ones are not asked."""
    documents = [Document(f"{title}.txt", title, "", "") for title in "ABC"]
    questions = [Question(title, "?", golds=(Gold(f"{title}.txt"),)) for title in "ABC"]
    kept, asked_of_half = halve(documents, [*questions, Question("D", "?")])
    assert [document.title for document in kept] == ["A", "C"]
    assert {item.question_id: bool(item.golds) for item in asked_of_half} == {"A": True, "B": False, "C": True}


KEPT = {"hybrid": {"ndcg@10": 0.8}, "refusals": {"questions": 20.0, "false_refusals": 0.1}}


@pytest.mark.parametrize(
    ("measures", "complaint"),
    [
        ({"hybrid": {"ndcg@10": 0.77}}, "hybrid ndcg@10 was 0.800 and is 0.770"),
        ({"hybrid": {}}, "hybrid ndcg@10 was 0.800 and is not measured any more"),
        ({"refusals": {"questions": 20.0, "false_refusals": 0.14}}, "false_refusals was 0.100 and is 0.140"),
        ({"refusals": {"questions": 19.0, "false_refusals": 0.1}}, "asks 19 questions, 20 before"),
    ],
)
def test_worse_measure_is_named(measures: dict[str, dict[str, float]], complaint: str) -> None:
    """Lower where high is good, higher where low is good, missing, or of other questions."""
    (worse,) = find_worse({**KEPT, **measures}, KEPT)
    assert complaint in worse


def test_change_within_the_tolerance_is_no_complaint() -> None:
    """Nor is anything that gets better."""
    better = {"hybrid": {"ndcg@10": 0.99}, "refusals": {"questions": 20.0, "false_refusals": 0.12}}
    assert find_worse(better, KEPT) == []
