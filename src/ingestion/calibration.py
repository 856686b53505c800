"""The relevance floors of an index, which depend on its model and its documents; the manifest keeps them.

The default model's floors were measured on questions with known answers. For any other model, the build asks its new
index questions that hardly any documents answer. Their scores show what an unrelated question scores.
"""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from src.artifacts import Manifest
from src.rag.relevance import DEFAULT_FLOOR_MODEL, calibrate_floors
from src.retrieval.index import Encoder, open_index

UNRELATED_QUESTIONS = Path(__file__).parent / "unrelated_questions.txt"


def choose_floors(
    index_dir: Path, manifest: Manifest, get_encoder: Callable[[], Encoder]
) -> tuple[float, float] | None:
    """Return the floors for an index whose texts and vectors are written; None: those of the default model.

    Args:
        manifest: of this index, still without floors.
    """
    if manifest.spec.model_name == DEFAULT_FLOOR_MODEL:
        return None
    questions = UNRELATED_QUESTIONS.read_text(encoding="utf-8").splitlines()
    with closing(open_index(index_dir, manifest=manifest, get_encoder=get_encoder)) as index:
        best = [hit.score for question in questions for hit in index.search(question, limit=1).hits]
    floors = calibrate_floors(best)
    return floors.refuse, floors.certain
