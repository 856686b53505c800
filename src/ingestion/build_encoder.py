"""Which encoder a build embeds with: the exported model on all cores, or the original on a GPU."""

from src.artifacts import ModelCard
from src.config import Config
from src.embedding.sentence_transformers_encoder import SentenceTransformersEncoder, full_name
from src.errors import BuildError
from src.ingestion.kept_embeddings import Encoder
from src.ingestion.parallel_encoder import ParallelEncoder


def load_encoder(config: Config, card: ModelCard, device: str | None) -> Encoder:
    """Load the encoder that `EMBEDDING_BACKEND` names.

    Args:
        device: a torch device for sentence-transformers, such as `cuda`; None: the best one there is.

    Raises:
        BuildError: the original is not the model that was exported, so questions would be embedded by another one; or
            the device is not for this backend, or not here.
    """
    if config.embedding_backend == "onnx":
        if device is not None:
            raise BuildError(f"--device {device} is for the original model. Add --backend sentence-transformers.")
        return ParallelEncoder(config.model_dir)
    if full_name(config.embedding_model_name) != card.name:
        raise BuildError(
            f"EMBEDDING_MODEL_NAME={config.embedding_model_name} is not the model in {config.model_dir} ({card.name}), "
            "which embeds the questions. Export it first (--export-model), or name that one."
        )
    return SentenceTransformersEncoder(config.embedding_model_name, device)


def describe_encoder(config: Config) -> str:
    """Say, for the manifest, what an index was embedded with; "" for the exported model."""
    return "" if config.embedding_backend == "onnx" else f"; embedded with {config.embedding_backend}"
