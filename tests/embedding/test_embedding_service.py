"""The committed int8 model against vectors of the original, and what a server asks of the service around it."""

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from src.artifacts import MODEL_CARD_FILE, MODEL_DATA_FILE, MODEL_FILE, TOKENIZER_FILE, sha256_of
from src.embedding.embedding_service import EmbeddingService
from src.errors import ArtifactError

MODEL_DIR = Path("data/model")
CANARIES = json.loads(Path(__file__).with_name("canaries.json").read_text(encoding="utf-8"))
INT8_COSINE = 0.98  # fp32 against int8; the export measured .986 at worst on its fixed texts


@pytest.fixture(scope="module")
def service() -> EmbeddingService:
    return EmbeddingService.load(MODEL_DIR)


@pytest.fixture
def model_copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MODEL_DIR, tmp_path / "model"))


def test_canaries_embed_like_the_original(service):
    """Each text's vector is near the one that sentence-transformers computes in fp32."""
    cosines = (service.embed(CANARIES["texts"]) * np.array(CANARIES["embeddings"])).sum(axis=1)
    assert cosines.min() > INT8_COSINE


def test_question_finds_the_passage_that_the_original_finds(service):
    """The first canary is a question; the others rank as the original ranks them."""
    reference = np.array(CANARIES["embeddings"][:5])
    embeddings = service.embed(CANARIES["texts"][:5])
    assert np.argsort(embeddings[1:] @ embeddings[0]).tolist() == np.argsort(reference[1:] @ reference[0]).tolist()


def test_text_alone_decides_its_vector(service):
    """Neither its neighbours nor its place in the list change a row."""
    texts = ["word " * (5 + 7 * (i % 6)) + f"number {i}" for i in range(20)]
    np.testing.assert_array_equal(service.embed(texts), np.concatenate([service.embed([text]) for text in texts]))


def test_rows_have_norm_one(service):
    """A dot product of two rows is their cosine."""
    embeddings = service.embed(CANARIES["texts"])
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)


def test_no_texts_give_no_rows(service):
    """An empty list is not an error."""
    assert service.embed([]).shape == (0, service.card.dimension)


def test_long_text_is_cut_at_the_window(service):
    """What lies beyond the window changes nothing: 254 words and two special tokens fill it."""
    np.testing.assert_array_equal(service.embed(["word " * 600]), service.embed(["word " * 254]))


def test_threads_get_their_own_answers(service):
    """Thirty requests at once: each gets the vector it would get alone."""
    texts = [f"question number {i}" for i in range(30)]
    alone = [service.embed([text]) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        at_once = list(pool.map(lambda text: service.embed([text]), texts))
    np.testing.assert_array_equal(np.concatenate(at_once), np.concatenate(alone))


def test_committed_files_are_those_of_the_card(service):
    """The fingerprint of an index rests on these hashes."""
    assert service.card.files == {name: sha256_of(MODEL_DIR / name) for name in service.card.files}
    assert set(service.card.files) == {MODEL_FILE, MODEL_DATA_FILE, TOKENIZER_FILE}
    assert service.card.licence == "apache-2.0"
    assert "Apache License" in (MODEL_DIR / "LICENSE").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [MODEL_FILE, MODEL_DATA_FILE, TOKENIZER_FILE, MODEL_CARD_FILE])
@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_damaged_file_names_the_cure(model_copy, name, damage):
    """A lost or half-written file stops the load with the command that makes it again."""
    path = model_copy / name
    content = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ArtifactError, match="--export-model"):
        EmbeddingService.load(model_copy)


def test_graph_that_onnxruntime_refuses_names_the_cure(model_copy):
    """A file that its card vouches for may still be none that this onnxruntime reads."""
    (model_copy / MODEL_FILE).write_bytes(b"not a graph")
    card = json.loads((model_copy / MODEL_CARD_FILE).read_text(encoding="utf-8"))
    card["files"][MODEL_FILE] = sha256_of(model_copy / MODEL_FILE)
    (model_copy / MODEL_CARD_FILE).write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"cannot be loaded .*--export-model"):
        EmbeddingService.load(model_copy)


def test_no_error_class_of_onnxruntime_is_forgotten(model_copy, monkeypatch):
    """Whatever the library raises while it loads is raised as ours; its fifteen classes have no common base."""
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = [value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert len(found) >= 15
    for error in found:
        monkeypatch.setattr(onnxruntime, "InferenceSession", Mock(side_effect=error("no")))
        with pytest.raises(ArtifactError, match="cannot be loaded"):
            EmbeddingService.load(model_copy)


def test_loading_imports_neither_torch_nor_sentence_transformers():
    """In a fresh process; importing the module alone brings in no onnxruntime either."""
    script = (
        "import sys; from pathlib import Path; from src.embedding.embedding_service import EmbeddingService\n"
        "assert not {'onnxruntime', 'tokenizers'} & set(sys.modules)\n"
        "EmbeddingService.load(Path('data/model')).embed(['a question'])\n"
        "assert not {'torch', 'transformers', 'sentence_transformers', 'onnx'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


def test_nothing_is_sent_or_left_at_home(tmp_path):
    """onnxruntime's telemetry, which keeps what it will send in the home directory, is off."""
    code = (
        "from pathlib import Path; from src.embedding.embedding_service import EmbeddingService; "
        f"EmbeddingService.load(Path({str(MODEL_DIR)!r})).embed(['a'])"
    )
    environment = {"HOME": str(tmp_path), "PATH": ""}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert list(tmp_path.iterdir()) == []
