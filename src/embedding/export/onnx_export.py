"""A sentence-transformers model as the ONNX files that build and server embed with.

The whole model goes into the graph: transformer, pooling, dense layers, normalisation. What is written has proved
against sentence-transformers that it embeds alike; otherwise the old model stays. Needs torch; runs offline only.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from src.artifacts import MODEL_DATA_FILE, MODEL_FILE, TOKENIZER_FILE, ModelCard, sha256_of
from src.embedding.embedding_service import EmbeddingService
from src.embedding.export.fidelity import load_texts, measure_fidelity, require_fidelity
from src.embedding.export.model_origin import ModelOrigin
from src.embedding.export.prediction import ModelSize
from src.embedding.export.quantisation import QUANTISATION, fuse, quantise, write_graph
from src.embedding.sentence_transformers_encoder import encode, find_prompts, load_sentence_transformer
from src.errors import BuildError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch.nn import Module

MODULES = {"Transformer", "Pooling", "Dense", "Normalize", "LayerNorm", "Dropout"}
INPUTS = {"input_ids", "attention_mask", "token_type_ids"}
OPSET = 17

logger = logging.getLogger(__name__)


def load_original(name_or_path: str) -> "SentenceTransformer":
    """Load a model that can be exported.

    Raises:
        BuildError: there is no such model, or it is not BERT-like.
    """
    model = load_sentence_transformer(name_or_path, "cpu", model_kwargs={"attn_implementation": "eager"})
    require_bert_like(model, name_or_path)
    return model.eval()


def export_model(model: "SentenceTransformer", name_or_path: str, model_dir: Path) -> ModelCard:
    """Export a model, prove that it embeds like the original, and put it in the place of the old one.

    Raises:
        BuildError: the model cannot be converted, or the export embeds differently.
    """
    origin = ModelOrigin.find(name_or_path)
    model_dir.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".model-", dir=model_dir.parent) as scratch:
        fp32, int8 = Path(scratch, "fp32"), Path(scratch, "int8")
        traced, fused, quantised = (Path(scratch, f"{step}.onnx") for step in ("traced", "fused", "quantised"))
        _trace(model, traced)
        config = model[0].auto_model.config
        fuse(traced, fused, heads=config.num_attention_heads, hidden_size=config.hidden_size)
        quantise(fused, quantised)
        _write_model(fused, model, origin, fp32)
        card = _write_model(quantised, model, origin, int8)
        card = replace(card, fidelity=_prove(model, fp32, int8))
        card.save(int8)
        origin.write_licence(int8)
        _swap_in(int8, model_dir, Path(scratch, "old"))
    logger.info("exported %s: %d dimensions, %d tokens, %s", card.name, card.dimension, card.max_tokens, card.fidelity)
    return card


def require_bert_like(model: "SentenceTransformer", name: str) -> None:
    """Refuse a model that the template could not embed with.

    Raises:
        BuildError: naming what is in the way.
    """
    modules = [type(module).__name__ for module in model]
    tokenizer = model.tokenizer
    obstacle = ""
    if set(modules) - MODULES or modules[:2] != ["Transformer", "Pooling"]:
        obstacle = (
            f"its modules are {', '.join(modules)}, where Transformer, Pooling and at most dense layers are known"
        )
    elif not getattr(tokenizer, "is_fast", False):
        obstacle = "it has no fast tokenizer (tokenizer.json)"
    elif set(tokenizer.model_input_names) - INPUTS:
        obstacle = f"it wants the inputs {', '.join(tokenizer.model_input_names)}"
    elif not model[1].include_prompt:
        obstacle = "it leaves the prompt out of its pooling (include_prompt)"
    elif not model.max_seq_length:
        obstacle = "it does not say how many tokens it takes (max_seq_length)"
    if obstacle:
        raise BuildError(f"{name} is not a BERT-like sentence-transformers model: {obstacle}. Choose another model.")


def _trace(model: "SentenceTransformer", path: Path) -> None:
    """Trace the whole model to ONNX."""
    import torch

    example = model.tokenizer(
        ["a short text", "a text that is longer by some words"], padding=True, return_tensors="pt"
    )
    axes = {"input_ids": {0: "batch", 1: "tokens"}, "attention_mask": {0: "batch", 1: "tokens"}}
    try:
        with torch.no_grad(), _quiet_tracing():
            torch.onnx.export(
                _whole_model(model),
                (example["input_ids"], example["attention_mask"]),
                path,
                input_names=list(axes),
                output_names=["sentence_embedding"],
                dynamic_axes={**axes, "sentence_embedding": {0: "batch"}},
                opset_version=OPSET,
                dynamo=False,  # the other exporter needs onnxscript, and its graphs do not fuse (231 nodes, not 71)
            )
    except (torch.onnx.OnnxExporterError, RuntimeError, TypeError) as exc:
        raise BuildError(f"The model cannot be converted to ONNX ({exc}). Choose another model.") from exc


def _whole_model(model: "SentenceTransformer") -> "Module":
    """Wrap the model so that two tensors go in and unit vectors come out, whether or not it normalises by itself."""
    import torch

    has_segments = "token_type_ids" in model.tokenizer.model_input_names

    class WholeModel(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            features = {"input_ids": input_ids, "attention_mask": attention_mask}
            if has_segments:
                features["token_type_ids"] = torch.zeros_like(input_ids)
            embeddings = self.model(features)["sentence_embedding"]
            return torch.nn.functional.normalize(embeddings, p=2.0, dim=1)

    return WholeModel().eval()


@contextmanager
def _quiet_tracing() -> Iterator[None]:
    """Silence what the tracing exporter always says: the fidelity check shows whether a constant was frozen wrongly."""
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", "Exporting aten::index operator", UserWarning)
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
        yield


def _write_model(graph: Path, model: "SentenceTransformer", origin: ModelOrigin, model_dir: Path) -> ModelCard:
    """Write graph, weights, tokenizer and card."""
    model_dir.mkdir()
    write_graph(graph, model_dir)
    tokenizer = model.tokenizer.backend_tokenizer
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.save(str(model_dir / TOKENIZER_FILE), pretty=False)
    files = (MODEL_FILE, MODEL_DATA_FILE, TOKENIZER_FILE)
    card = ModelCard(
        **asdict(origin),
        dimension=int(model.get_embedding_dimension() or 0),
        max_tokens=int(model.max_seq_length or 0),
        pooling=str(model[1].get_config_dict()["pooling_mode"]),
        normalised=True,
        quantisation=QUANTISATION,
        files={name: sha256_of(model_dir / name) for name in files},
        fidelity={},
        prompts=find_prompts(model),
        serving_mb=ModelSize.of(model).serving_mb,
    )
    card.save(model_dir)
    return card


def _prove(model: "SentenceTransformer", fp32: Path, int8: Path) -> dict[str, float]:
    """Embed the fixed texts three ways and refuse an export that differs."""
    questions, passages = load_texts()
    prompts = find_prompts(model)
    reference = np.concatenate(
        [encode(model, questions, prompts.get("query", "")), encode(model, passages, prompts.get("passage", ""))]
    )
    exported_fp32, exported_int8 = (
        np.stack([*map(service.embed_question, questions), *service.embed(passages)])
        for service in map(EmbeddingService.load, (fp32, int8))
    )
    fidelity = measure_fidelity(reference, exported_fp32, exported_int8, len(questions))
    require_fidelity(fidelity)
    return fidelity


def _swap_in(new: Path, model_dir: Path, old: Path) -> None:
    """Put the new folder in the place of the old one, which is back if that fails."""
    if model_dir.exists():
        model_dir.rename(old)
    try:
        new.rename(model_dir)
    except OSError as exc:
        if old.exists():
            old.rename(model_dir)
        raise BuildError(f"The model cannot be written to {model_dir} ({exc}). The old one is untouched.") from exc
