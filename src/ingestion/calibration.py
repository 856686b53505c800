"""The relevance floor of an index, which depends on its model and its documents; the manifest keeps it.

The default model's floor was measured on questions with known answers. For any other model, questions that hardly any
collection of documents answers are put to the index just built: what they score is what has nothing to do with it.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from src.artifacts import LEXICAL_FILE, Manifest
from src.ingestion.kept_embeddings import Encoder
from src.rag.relevance import DEFAULT_FLOOR, DEFAULT_FLOOR_MODEL, calibrate_floor, measure_relevance
from src.retrieval.lexical_index import LexicalIndex
from src.retrieval.passage_store import PassageStore
from src.retrieval.retriever import Retriever
from src.retrieval.vector_store import VectorStore

UNRELATED_QUESTIONS = Path(__file__).parent / "unrelated_questions.txt"
PASSAGES_A_QUESTION = 5


def choose_floor(index_dir: Path, manifest: Manifest, get_encoder: Callable[[], Encoder]) -> float:
    """Return the floor for a finished index.

    Args:
        manifest: of this index, as far as it is known.
    """
    if manifest.model_name == DEFAULT_FLOOR_MODEL:
        return DEFAULT_FLOOR
    questions = UNRELATED_QUESTIONS.read_text(encoding="utf-8").splitlines()
    return round(calibrate_floor(_score(questions, index_dir, manifest, get_encoder())), 3)


def _score(questions: Sequence[str], index_dir: Path, manifest: Manifest, encoder: Encoder) -> list[float]:
    passages = PassageStore.open(index_dir / LEXICAL_FILE)
    vectors = VectorStore.open(index_dir, manifest)
    try:
        retriever = Retriever(passages, LexicalIndex(passages.database), lambda: encoder, lambda: vectors)
        found = ((question, retriever.search(question, limit=PASSAGES_A_QUESTION)) for question in questions)
        return [measure_relevance(question, retrieval) for question, retrieval in found]
    finally:
        vectors.close()
        passages.close()
