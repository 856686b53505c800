"""Exports of small BERTs made here, and of the default model, against sentence-transformers itself."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from src.embedding.embedding_service import EmbeddingService
from src.embedding.export.fidelity import TEXTS_FILE
from src.errors import BuildError

pytestmark = pytest.mark.export
TEXTS = ["How many days of holiday?", "", "Trains are booked second class. " * 12, "the tides"]


def make_bert(
    folder: Path, *, pooling: str = "mean", dense: bool = False, prompts: dict[str, str] | None = None
) -> Path:
    """Write a sentence-transformers model of two random layers whose vocabulary is the fixed texts' own."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    torch.manual_seed(512)
    words = BertWordPieceTokenizer()
    words.train([str(TEXTS_FILE)], vocab_size=600, show_progress=False)
    base = folder / "bert"
    BertTokenizerFast(tokenizer_object=words._tokenizer).save_pretrained(base)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=600, max_position_embeddings=64, initializer_range=0.2, **sizes)).save_pretrained(
        base
    )
    modules = [Transformer(str(base), max_seq_length=64), Pooling(32, pooling)]
    modules.append(Dense(32, 16) if dense else Normalize())
    path = folder / "tiny-model"
    SentenceTransformer(modules=modules, prompts=prompts, device="cpu").save_pretrained(str(path))
    return path


def export(name: str | Path, model_dir: Path):
    """Export in this process."""
    from src.embedding.export.onnx_export import export_model

    return export_model(str(name), model_dir)


def reference(path: Path) -> np.ndarray:
    """Embed with sentence-transformers, scaled to norm 1 by hand."""
    from sentence_transformers import SentenceTransformer

    rows = SentenceTransformer(str(path), device="cpu").encode(TEXTS, show_progress_bar=False)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize(("pooling", "dense", "dimension"), [("mean", False, 32), ("cls", True, 16)])
def test_small_bert_embeds_like_the_original(tmp_path, pooling, dense, dimension):
    """Pooling, a dense layer and normalisation are in the graph, wherever the model has them or not."""
    source = make_bert(tmp_path, pooling=pooling, dense=dense)
    card = export(source, tmp_path / "data" / "model")
    service = EmbeddingService.load(tmp_path / "data" / "model")
    assert (service.embed(TEXTS) * reference(source)).sum(axis=1).min() > 0.98
    assert (card.pooling, card.dimension, card.max_tokens, card.normalised) == (pooling, dimension, 64, True)
    assert card.fidelity["fp32_min_cosine"] >= 0.9999
    assert card == service.card
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["model"]


def test_default_model_is_what_is_committed(tmp_path):
    """The export of all-MiniLM-L6-v2 passes its own bounds and embeds as the committed files do."""
    card = export("all-MiniLM-L6-v2", tmp_path / "model")
    assert card.name == "sentence-transformers/all-MiniLM-L6-v2"
    assert (card.dimension, card.max_tokens, card.pooling, card.licence) == (384, 256, "mean", "apache-2.0")
    committed = EmbeddingService.load(Path("data/model"))
    embeddings = EmbeddingService.load(tmp_path / "model").embed(TEXTS)
    assert (embeddings * committed.embed(TEXTS)).sum(axis=1).min() > 0.999
    assert (tmp_path / "model" / "LICENSE").is_file()


def test_model_in_the_cache_is_exported_by_name(tmp_path):
    """As after a download from the hub: name, commit and licence go into the card."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "hub" / "models--sentence-transformers--paraphrase-MiniLM-L3-v2"
    snapshot = Path(shutil.copytree(make_bert(tmp_path), repository / "snapshots" / commit))
    (snapshot / "README.md").write_text("---\nlicense: apache-2.0\n---\n", encoding="utf-8")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit, encoding="utf-8")
    script = (
        "from pathlib import Path; from src.embedding.export.onnx_export import export_model\n"
        f"export_model('paraphrase-MiniLM-L3-v2', Path({str(tmp_path / 'model')!r}))"
    )
    env = os.environ | {"HF_HOME": str(tmp_path), "HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    subprocess.run([sys.executable, "-c", script], check=True, env=env, timeout=300)
    card = json.loads((tmp_path / "model" / "model_card.json").read_text(encoding="utf-8"))
    assert (card["name"], card["revision"]) == ("sentence-transformers/paraphrase-MiniLM-L3-v2", commit)
    assert card["licence"] == "apache-2.0"


def test_model_with_prompts_is_refused_and_the_old_one_stays(tmp_path):
    """The template sends bare texts; a model trained with prompts would rank worse in silence."""
    model_dir = tmp_path / "model"
    model_dir.mkdir()
    (model_dir / "model.onnx").write_bytes(b"old")
    with pytest.raises(BuildError, match="wants prompts before the texts"):
        export(make_bert(tmp_path, prompts={"query": "query: "}), model_dir)
    assert (model_dir / "model.onnx").read_bytes() == b"old"


def test_model_that_is_no_transformer_is_refused_by_its_modules(tmp_path):
    """Static embeddings have no attention mask to give to a graph."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import BertWordPieceTokenizer

    words = BertWordPieceTokenizer()
    words.train([str(TEXTS_FILE)], vocab_size=300, show_progress=False)
    static = StaticEmbedding(words._tokenizer, embedding_dim=8)
    SentenceTransformer(modules=[static], device="cpu").save_pretrained(str(tmp_path / "static"))
    with pytest.raises(BuildError, match="its modules are StaticEmbedding"):
        export(tmp_path / "static", tmp_path / "model")
