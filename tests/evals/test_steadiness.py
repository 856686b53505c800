"""The same question in other dress, over the whole set of the sample's questions, through the real model and index."""

import random
from contextlib import closing

from evals.datasets import load_set
from evals.steadiness import dress, measure_steadiness
from src.embedding.embedding_service import EmbeddingService
from src.records import Filters
from src.retrieval.index import open_index
from tests.conftest import ROOT, of_the_sample


def test_every_form_is_another_text() -> None:
    """A form that equals the question would measure nothing."""
    forms = dress("How many days of leave do I get?", random.Random(1))
    assert set(forms) == {"without mark", "with mark", "capitals", "please", "thanks", "slip"}
    assert [name for name, form in forms.items() if form == "How many days of leave do I get?"] == ["with mark"]


@of_the_sample
def test_question_in_other_dress_finds_the_same_first_passage() -> None:
    """Marks, capitals, courtesies and one slip change nothing for 95 of 100 questions."""
    model = EmbeddingService.load(ROOT / "data" / "model")
    questions = [item.text for item in load_set(ROOT / "evals" / "handbook").questions if not item.history]
    with closing(open_index(ROOT / "data" / "index", get_encoder=lambda: model)) as index:

        def find_first(text: str) -> str:
            found = index.find_passages(text, limit=1, filters=Filters(), kind="hybrid")
            return found.hits[0].chunk.chunk_id

        assert measure_steadiness(questions, find_first, seed=1)["all"] >= 0.95
