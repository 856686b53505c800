"""What a model will need, told before it is exported: parameters, files, and memory in the server.

A parameter becomes one byte. Those of the layers are packed for the CPU in memory; the vocabulary's are mapped from the
file and read where a text needs them. The tokenizer's own table of words is in memory whole, and of a large vocabulary
it is most of what the server takes. `docs/decisions/0001-int8-model.md` has the measurements.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from src.artifacts import COMFORTABLE_SHARE, MAX_COMMITTED_MB

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# The process tree after its first chat on a small index, without the model (`python -m benchmarks startup`).
SERVER_MB = 121.5
LAYER_BYTES = 1.02
# Of a word of the vocabulary, by the tokenizer's kind; measured on BERT's 30,522 words and on XLM-R's 250,037.
WORD_KB = {"WordPiece": 0.25, "Unigram": 1.1}


@dataclass(frozen=True, slots=True)
class ModelSize:
    """What decides a model's memory.

    Args:
        parameters: all of them, in millions.
        vocabulary_parameters: those of the words' embeddings, in millions.
        words: of the vocabulary.
        tokenizer: its kind, such as `WordPiece`.
    """

    parameters: float
    vocabulary_parameters: float
    words: int
    tokenizer: str

    @classmethod
    def of(cls, model: "SentenceTransformer") -> Self:
        """Count a model's parameters and words."""
        words = model[0].auto_model.get_input_embeddings().weight
        kind = type(model.tokenizer.backend_tokenizer.model).__name__
        total = sum(parameter.numel() for parameter in model.parameters())
        return cls(total / 1e6, words.numel() / 1e6, words.shape[0], kind)

    @property
    def tokenizer_mb(self) -> float:
        """Memory of the tokenizer; one of an unknown kind counts as the larger known one."""
        return self.words / 1000 * WORD_KB.get(self.tokenizer, max(WORD_KB.values()))

    @property
    def serving_mb(self) -> int:
        """Predicted memory of the server after its first chat on a small index."""
        layers_mb = LAYER_BYTES * (self.parameters - self.vocabulary_parameters)
        return round(SERVER_MB + layers_mb + self.tokenizer_mb)

    def summary(self, memory_limit_mb: int) -> str:
        """The prediction as lines of text, with what to do where it does not fit."""
        share = self.vocabulary_parameters / self.parameters
        lines = [
            f"Parameters   {self.parameters:.1f} million, {share:.0%} of them in a vocabulary of {self.words:,} words",
            f"Files        about {self.parameters:.0f} MB",
            f"Serving      about {self.serving_mb:,} MB of {memory_limit_mb:,} MB, "
            f"{self.tokenizer_mb:.0f} of them for the tokenizer",
        ]
        if self.serving_mb > COMFORTABLE_SHARE * memory_limit_mb:
            lines.append(
                f"Warning: from {COMFORTABLE_SHARE * memory_limit_mb:.0f} MB on the server saves memory at the expense "
                "of its answers. Take a smaller model, or a larger plan and set MEMORY_LIMIT_MB."
            )
        if self.parameters > MAX_COMMITTED_MB:
            lines.append(
                f"Warning: GitHub takes files of up to {MAX_COMMITTED_MB} MB. Keep the model with Git LFS, or push to "
                "a host that takes it."
            )
        return "\n".join(lines)
