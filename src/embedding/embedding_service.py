"""Texts to unit vectors with the exported ONNX model; the only file that touches onnxruntime and tokenizers.

The same service embeds the documents at build and the questions at serve, so the two cannot drift. Pooling and
normalisation are inside the graph: nothing here knows which sentence-transformers model it was.
"""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from src.artifacts import EXPORT, MODEL_FILE, TOKENIZER_FILE, ModelCard, sha256_of
from src.errors import ArtifactError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer


class EmbeddingService:
    """One loaded model. Embedding is CPU work: one call at a time, the others wait."""

    def __init__(self, card: ModelCard, tokenizer: "Tokenizer", session: "InferenceSession") -> None:
        self.card = card
        self._tokenizer = tokenizer
        self._word_mark = find_word_mark(tokenizer)
        self._session = session
        self._lock = Lock()

    @classmethod
    def load(cls, model_dir: Path) -> Self:
        """Read the card, the tokenizer and the graph; the weights are mapped, those of the layers packed for this CPU.

        Raises:
            ArtifactError: there is no model, or a file of it is damaged.
        """
        card = ModelCard.load(model_dir)
        for name in (MODEL_FILE, TOKENIZER_FILE):
            if card.files.get(name) != sha256_of(model_dir / name):
                raise ArtifactError(f"{model_dir / name} is not the file that the model card names. {EXPORT}")
        return cls(card, _load_tokenizer(model_dir, card), _load_session(model_dir))

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed passages, in the order given; what is beyond the model's window is cut off.

        One at a time: activations are scaled by what is in a batch, so alone a text's vector depends on nothing else.
        8 at once would make short texts a third cheaper and take 95 MB more.

        Returns:
            Array of shape (len(texts), dimension), rows of norm 1.
        """
        embeddings = np.empty((len(texts), self.card.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            embeddings[row] = self._embed("passage", text)
        return embeddings

    def embed_question(self, question: str) -> NDArray[np.float32]:
        """Embed one question; (dimension,), norm 1."""
        return self._embed("query", question)

    def find_token(self, word: str) -> int | None:
        """Return the number of a word that is one token; vocabularies count the more frequent words first."""
        token: int | None = self._tokenizer.token_to_id(self._word_mark + word)
        return token

    def _embed(self, kind: str, text: str) -> NDArray[np.float32]:
        """Embed one text with the prompt of its kind."""
        with self._lock:
            ids = self._tokenizer.encode(self.card.prompts.get(kind, "") + text).ids
            input_ids = np.array([ids], dtype=np.int64)
            outputs = self._session.run(None, {"input_ids": input_ids, "attention_mask": np.ones_like(input_ids)})
        embedding: NDArray[np.float32] = outputs[0][0]
        return embedding


def find_word_mark(tokenizer: "Tokenizer") -> str:
    """Return what a vocabulary puts before the token that begins a word: "▁" in XLM-R's, nothing in BERT's."""
    tokens: list[str] = tokenizer.encode("a a", add_special_tokens=False).tokens
    return tokens[-1].removesuffix("a")


def _load_tokenizer(model_dir: Path, card: ModelCard) -> "Tokenizer":
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model_dir / TOKENIZER_FILE))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length=card.max_tokens)
    return tokenizer


def _load_session(model_dir: Path) -> "InferenceSession":
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as engine

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # an arena keeps the largest batch's memory for good
    options.enable_mem_pattern = False
    errors = tuple(item for item in vars(engine).values() if isinstance(item, type) and issubclass(item, Exception))
    try:
        return onnxruntime.InferenceSession(str(model_dir / MODEL_FILE), options, providers=["CPUExecutionProvider"])
    except errors as exc:
        raise ArtifactError(f"The model in {model_dir} cannot be loaded ({exc}). {EXPORT}") from exc
