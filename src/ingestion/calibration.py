"""The relevance floor of an index, which depends on its model and its documents; the manifest keeps it.

The default model's floor was measured on questions with known answers. For any other model, the build asks its new
index questions that hardly any documents answer. Their scores show what an unrelated question scores.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from src.artifacts import Manifest
from src.rag.relevance import DEFAULT_FLOOR, DEFAULT_FLOOR_MODEL, calibrate_floor, measure_relevance
from src.retrieval.index import Encoder, open_index

UNRELATED_QUESTIONS = Path(__file__).parent / "unrelated_questions.txt"
CHUNKS_PER_QUESTION = 5


def choose_floor(index_dir: Path, manifest: Manifest, get_encoder: Callable[[], Encoder]) -> float:
    """Return the floor for an index whose texts and vectors are written.

    Args:
        manifest: of this index, still without a floor.
    """
    if manifest.spec.model_name == DEFAULT_FLOOR_MODEL:
        return DEFAULT_FLOOR
    questions = UNRELATED_QUESTIONS.read_text(encoding="utf-8").splitlines()
    return round(calibrate_floor(_score(questions, index_dir, manifest, get_encoder())), 3)


def _score(questions: Sequence[str], index_dir: Path, manifest: Manifest, encoder: Encoder) -> list[float]:
    with closing(open_index(index_dir, manifest=manifest, get_encoder=lambda: encoder)) as index:
        found = ((question, index.search(question, limit=CHUNKS_PER_QUESTION)) for question in questions)
        return [measure_relevance(question, retrieval) for question, retrieval in found]
