"""What lies on disk between build and serve: the model card and the index manifest.

Both are JSON, written by the build and read by the server. A fingerprint ties an index to the model that it was built
with, because a mere dimension check does not catch the wrong one. Nothing heavy is imported here.
"""

import hashlib
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

from src.errors import ArtifactError
from src.json_files import digest, may_be_read, read_json, write_json

SCHEMA_VERSION = 5
LEXICAL_FILE = "lexical.sqlite3"
MANIFEST_FILE = "manifest.json"
CHECKSUMS_FILE = "SHA256SUMS"
MODEL_CARD_FILE = "model_card.json"
MODEL_FILE = "model.onnx"
MODEL_DATA_FILE = "model.onnx.data"
TOKENIZER_FILE = "tokenizer.json"

# From this share of the memory limit on, the server saves memory at the expense of its answers.
COMFORTABLE_SHARE = 0.78
# GitHub refuses a push with a larger file.
MAX_COMMITTED_MB = 100

REBUILD = "Run ./run.sh build to rebuild the index."
BUILD_AGAIN = "The old index is as it was. Free some space on that disk, or allow this user to write to the folder."
EXPORT = "Restore data/model from git, or run ./run.sh build --export-model to make it again."


@dataclass(frozen=True, slots=True)
class ModelCard:
    """The exported embedding model: `data/model/model_card.json`.

    The ONNX graph takes `input_ids` and `attention_mask` (int64, batch x tokens) and gives `sentence_embedding`
    (float32, batch x dimension), pooled and normalised inside the graph.

    Args:
        name: the sentence-transformers name, such as `sentence-transformers/all-MiniLM-L6-v2`.
        revision: commit or version of the weights.
        max_tokens: the model's window, special tokens included.
        pooling: `mean`, `cls`, ...; for people, the graph does it.
        files: SHA-256 in hex of each file beside the card, by name.
        fidelity: what the export measured against sentence-transformers, by measure.
        languages: that it was trained on, as ISO 639-1 codes or `multilingual`; none: its authors do not say.
        prompts: what the model was trained to find before a `query` and before a `passage`; most models want nothing.
        serving_mb: the server's memory after its first chat on a small index; measured for the default model, predicted
            for others.
    """

    name: str
    revision: str
    licence: str
    attribution: str
    dimension: int
    max_tokens: int
    pooling: str
    normalised: bool
    quantisation: str
    files: dict[str, str]
    fidelity: dict[str, float]
    languages: list[str] = field(default_factory=list)
    prompts: dict[str, str] = field(default_factory=dict)
    serving_mb: int = 140

    @property
    def fingerprint(self) -> str:
        """Hash of what decides an embedding: the files' own hashes, the window and the prompts."""
        return digest({"files": self.files, "max_tokens": self.max_tokens, "dimension": self.dimension, **self.prompts})

    @property
    def passage_tokens(self) -> int:
        """The window that the passages' prompt leaves; a token has one letter at least."""
        return self.max_tokens - len(self.prompts.get("passage", ""))

    @classmethod
    @may_be_read()
    def load(cls, model_dir: Path) -> Self:
        """Read the card and see that each file it names is there.

        Raises:
            ArtifactError: no card, an unreadable one, or a file of it is missing.
        """
        path = model_dir / MODEL_CARD_FILE
        if not path.is_file():
            raise ArtifactError(f"No embedding model in {model_dir}: {MODEL_CARD_FILE} is missing. {EXPORT}")
        card = read_json(path, lambda value: cls(**value), EXPORT)
        missing = [name for name in card.files if not (model_dir / name).is_file()]
        if missing:
            raise ArtifactError(f"The embedding model in {model_dir} lacks {', '.join(missing)}. {EXPORT}")
        return card

    def save(self, model_dir: Path) -> None:
        """Write the card beside the model's files."""
        write_json(model_dir / MODEL_CARD_FILE, asdict(self))


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """What an index is to be: known before anything is embedded. Two builds of one specification give one index.

    Args:
        store_format: of the vector store; what opens the index must read this format.
        model_name, model_fingerprint: of the `ModelCard` of the model that embeds the questions.
        encoder: what embedded the documents: `onnx`, the exported model, or `sentence-transformers`, the original one.
        splitter: the splitter's name and settings in one line.
        document_hashes: SHA-256 of each document's file, by path.
        skipped: why each file that could not be parsed was left out, by path.
        texts_sha256: of the documents' texts and of where they are cut into chunks and sentences.
        languages: how many documents are in each, by ISO 639-1 code; "" for those too short to tell.
        unknown_documents: those in a language that the model does not know.
    """

    schema_version: int
    store_format: str
    model_name: str
    model_fingerprint: str
    dimension: int
    encoder: str
    splitter: str
    document_hashes: dict[str, str]
    skipped: dict[str, str]
    texts_sha256: str
    languages: dict[str, int] = field(default_factory=dict)
    unknown_documents: list[str] = field(default_factory=list)

    @property
    def embeddings_fingerprint(self) -> str:
        """Hash of what makes an embedding of a text: the model, and which form of it."""
        return digest([self.model_fingerprint, self.encoder])

    def embeds_like(self, other: "IndexSpec") -> bool:
        """Tell whether the embeddings of one index can be taken over into the other."""
        ours, theirs = ((spec.schema_version, spec.embeddings_fingerprint, spec.splitter) for spec in (self, other))
        return ours == theirs


@dataclass(frozen=True, slots=True)
class BuildResults:
    """What was measured on an index after it was written.

    Args:
        embeddings_sha256: of the embeddings in chunk order, float32 rows; what `verify` checks.
        relevance_floors: the `Floors` of `src/rag/relevance.py`: scores of the best passage under which nothing is
            near, and from which on it answers; None: those of the default model.
        file_bytes: size of each file of the index, by name: a file cut short can crash the engine that maps it.
    """

    chunks: int
    embeddings_sha256: str
    relevance_floors: tuple[float, float] | None
    file_bytes: dict[str, int]


@dataclass(frozen=True)
class Manifest:
    """What an index was to be, and what it is: `data/index/manifest.json`."""

    spec: IndexSpec
    results: BuildResults

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything that decides an answer's ingredients; a cache key, and what `/ready` shows."""
        return digest(asdict(self))

    @classmethod
    @may_be_read()
    def load(cls, index_dir: Path, *, texts_only: bool = False) -> Self:
        """Read the manifest and see that the files it stands for are there; with `texts_only`, without the vectors.

        Raises:
            ArtifactError: there is no index, or a part of it is missing or unreadable.
        """
        path = index_dir / MANIFEST_FILE
        if not path.is_file():
            if index_dir.is_dir() and any(index_dir.iterdir()):
                raise ArtifactError(f"The index in {index_dir} is half-written: {MANIFEST_FILE} is missing. {REBUILD}")
            raise ArtifactError(f"No index in {index_dir}. {REBUILD}")
        manifest = read_json(
            path, lambda value: cls(IndexSpec(**value["spec"]), BuildResults(**value["results"])), REBUILD
        )
        try:
            found = measure_files(index_dir)
        except FileNotFoundError as exc:
            raise ArtifactError(
                f"{exc.filename} has gone: the index was replaced, or it is not whole. {REBUILD}"
            ) from exc
        for name, size in manifest.results.file_bytes.items():
            if found.get(name) != size and not (texts_only and name != LEXICAL_FILE):
                message = f"{name} in {index_dir} has {found.get(name, 0)} bytes, the manifest says {size}."
                raise ArtifactError(f"{message} {REBUILD}")
        return manifest

    def save(self, index_dir: Path) -> None:
        """Write the manifest; the build does this when all the rest is written."""
        write_json(index_dir / MANIFEST_FILE, asdict(self))

    def require_match(self, card: ModelCard, store_format: str) -> None:
        """Refuse an index that other parts built than the ones that would serve it.

        Args:
            store_format: that the vector store here reads.

        Raises:
            ArtifactError: naming what differs and the command that cures it.
        """
        spec = self.spec
        pairs = {
            "index format": (spec.schema_version, SCHEMA_VERSION),
            "embedding model": (spec.model_fingerprint, card.fingerprint),
            "vector store": (spec.store_format, store_format),
        }
        for what, (built, here) in pairs.items():
            if built != here:
                names = f" ({spec.model_name} / {card.name})" if what == "embedding model" else ""
                message = f"The index was built with {what} {built}. This server has {here}{names}."
                raise ArtifactError(f"{message} {REBUILD}")


def measure_files(index_dir: Path) -> dict[str, int]:
    """Measure every file of an index but what is written about them, in bytes, by name."""
    about = (MANIFEST_FILE, CHECKSUMS_FILE)
    files = (path for path in index_dir.rglob("*") if path.is_file() and path.name not in about)
    return {path.name: path.stat().st_size for path in files}


def sha256_of(path: Path) -> str:
    """Hash a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
