"""Exports of small BERTs made here, and of the default model, against sentence-transformers itself."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.artifacts import Manifest
from src.config import Config
from src.embedding.embedding_service import EmbeddingService
from src.embedding.export.fidelity import TEXTS_FILE
from src.embedding.sentence_transformers_encoder import SentenceTransformersEncoder
from src.errors import ArtifactError, BuildError
from src.ingestion.index_builder import build_index
from tests.conftest import serve

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


def make_cls_bert(folder: Path, *, prompts: dict[str, str] | None) -> Path:
    """Write a BERT that pools as bge's do."""
    return make_bert(folder, pooling="cls", prompts=prompts)


def make_xlm_r(folder: Path, *, prompts: dict[str, str] | None = None) -> Path:
    """Write a random XLM-R with a trained tokenizer of its kind: Unigram, a mark before words, no token types."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from tokenizers import SentencePieceUnigramTokenizer
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

    torch.manual_seed(512)
    names = {"cls_token": "<s>", "pad_token": "<pad>", "sep_token": "</s>", "unk_token": "<unk>"}
    specials = list(names.values())
    pieces = SentencePieceUnigramTokenizer()
    pieces.train([str(TEXTS_FILE)], vocab_size=500, special_tokens=specials, unk_token="<unk>", show_progress=False)
    pieces._tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    base = folder / "xlm-r"
    inputs = ["input_ids", "attention_mask"]
    PreTrainedTokenizerFast(
        tokenizer_object=pieces._tokenizer, model_input_names=inputs, **names, bos_token="<s>", eos_token="</s>"
    ).save_pretrained(base)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    # Positions are counted from behind the padding's number, 1, so 64 tokens need 66 of them.
    config = XLMRobertaConfig(
        vocab_size=500, max_position_embeddings=66, type_vocab_size=1, pad_token_id=1, initializer_range=0.2, **sizes
    )
    XLMRobertaModel(config).save_pretrained(base)
    path = folder / "tiny-xlm-r"
    modules = [Transformer(str(base), max_seq_length=64), Pooling(32, "mean")]
    SentenceTransformer(modules=modules, prompts=prompts, device="cpu").save_pretrained(str(path))
    return path


def export(name: str | Path, model_dir: Path):
    """Export in this process."""
    from src.embedding.export.onnx_export import export_model, load_original

    return export_model(load_original(str(name)), str(name), model_dir)


def reference(path: Path, prompt: str = "") -> np.ndarray:
    """Embed with sentence-transformers, the prompt put before each text and the rows scaled to norm 1 by hand."""
    from sentence_transformers import SentenceTransformer

    texts = [prompt + text for text in TEXTS]
    rows = SentenceTransformer(str(path), device="cpu").encode(texts, prompt="", show_progress_bar=False)
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
        "from pathlib import Path; from src.embedding.export.onnx_export import export_model, load_original\n"
        "name = 'paraphrase-MiniLM-L3-v2'\n"
        f"export_model(load_original(name), name, Path({str(tmp_path / 'model')!r}))"
    )
    env = os.environ | {"HF_HOME": str(tmp_path), "HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    subprocess.run([sys.executable, "-c", script], check=True, env=env, timeout=300)
    card = json.loads((tmp_path / "model" / "model_card.json").read_text(encoding="utf-8"))
    assert (card["name"], card["revision"]) == ("sentence-transformers/paraphrase-MiniLM-L3-v2", commit)
    assert card["licence"] == "apache-2.0"


E5 = {"query": "query: ", "passage": "passage: "}
BGE = {"query": "Represent this sentence for searching relevant passages: "}


@pytest.mark.parametrize(("make", "prompts"), [(make_xlm_r, None), (make_xlm_r, E5), (make_cls_bert, BGE)])
def test_prompts_are_put_before_questions_and_passages(tmp_path, make, prompts):
    """Each kind has its own, as the model was trained; the original gets the same words by hand."""
    source = make(tmp_path, prompts=prompts)
    card = export(source, tmp_path / "model")
    asked, written = (reference(source, (prompts or {}).get(kind, "")) for kind in ("query", "passage"))
    service = EmbeddingService.load(tmp_path / "model")
    assert card.prompts == (prompts or {})
    assert (service.embed(TEXTS) * written).sum(axis=1).min() > 0.98
    assert (np.stack([service.embed_question(text) for text in TEXTS]) * asked).sum(axis=1).min() > 0.98
    original = SentenceTransformersEncoder(str(source), "cpu")
    np.testing.assert_allclose(original.embed(TEXTS), written, atol=1e-5)
    np.testing.assert_allclose(original.embed_question(TEXTS[0]), asked[0], atol=1e-5)


def test_folder_is_built_and_asked_with_an_xlm_r_with_prompts(tmp_path):
    """The server finds a passage by its own words with such a model, and another prompt asks for another index."""
    model_dir, documents, index_dir = (tmp_path / name for name in ("model", "documents", "index"))
    card = export(make_xlm_r(tmp_path, prompts=E5), model_dir)
    documents.mkdir()
    for name, text in {"trains": "Trains are booked second class.", "cards": "A lost card is blocked."}.items():
        (documents / f"{name}.md").write_text(f"# About {name}\n\n{text}\n", encoding="utf-8")
    env = {"MODEL_DIR": model_dir, "DOCUMENTS_DIR": documents, "INDEX_DIR": index_dir}
    env = {name: str(path) for name, path in env.items()}
    config = Config.from_env(env)
    assert build_index(config).documents == 2
    with serve(tmp_path / "log", **env) as server:
        answer = server.ask("Which class are trains booked?")
        assert answer["retrieval"] == "hybrid"
        assert answer["sources"][0]["document"] == "trains.md"
    manifest = Manifest.load(index_dir)
    assert manifest.results.relevance_floors is not None
    with pytest.raises(ArtifactError, match="embedding model"):
        manifest.require_match(replace(card, prompts={}), manifest.spec.store_format)


def test_word_of_a_marked_vocabulary_is_known(tmp_path):
    """XLM-R writes a mark before the piece that begins a word; a piece from inside a word is no word."""
    export(make_xlm_r(tmp_path), tmp_path / "model")
    service = EmbeddingService.load(tmp_path / "model")
    vocabulary = json.loads((tmp_path / "model" / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    pieces = [piece for piece, _ in vocabulary]
    assert service.find_token("the") == pieces.index("▁the")
    inside = next(piece for piece in pieces if piece.isalpha() and f"▁{piece}" not in pieces)
    assert service.find_token(inside) is None


@pytest.mark.parametrize(
    ("prompts", "message"),
    [({"classification": "Classify: "}, "none named query"), (None, "out of its pooling")],
)
def test_model_whose_prompts_cannot_be_kept_is_refused_and_the_old_one_stays(tmp_path, prompts, message):
    """It would rank worse in silence."""
    model_dir = tmp_path / "model"
    model_dir.mkdir()
    (model_dir / "model.onnx").write_bytes(b"old")
    source = make_bert(tmp_path, prompts=prompts)
    if prompts is None:
        settings = source / "1_Pooling" / "config.json"
        settings.write_text(json.dumps(json.loads(settings.read_text()) | {"include_prompt": False}))
    with pytest.raises(BuildError, match=message):
        export(source, model_dir)
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
