"""Where a model comes from: its revision and its licence, which the exported copy must carry on."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from src.artifacts import sha256_of
from src.embedding.sentence_transformers_encoder import full_name, locate_model

UNKNOWN_LICENCE = "unknown"
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
LICENCES = Path(__file__).with_name("licences")


@dataclass(frozen=True, slots=True)
class ModelOrigin:
    """What the model card says of the original, by the names of its fields.

    Args:
        name: the hub's name, or the folder's name for a model of one's own.
        revision: the hub's commit; for a folder the hash of its weights.
        licence: in the hub's spelling, such as `apache-2.0`.
        languages: as its card names them; none where it does not.
    """

    name: str
    revision: str
    licence: str
    attribution: str
    languages: list[str]

    @classmethod
    def find(cls, name_or_path: str) -> Self:
        """Look at the folder or the local cache of a model that has just been loaded."""
        is_own = Path(name_or_path).is_dir()
        folder = Path(locate_model(name_or_path))
        name = folder.resolve().name if is_own else full_name(name_or_path)
        if folder.is_dir():
            revision, readme = _hash_weights(folder), folder / "README.md"
        else:
            revision, readme = _find_in_cache(name)
        where = "a folder of one's own" if is_own else f"https://huggingface.co/{name}"
        metadata = _read_metadata(readme)
        licence, languages = metadata.get("license"), metadata.get("language") or ()
        return cls(
            name=name,
            revision=revision,
            licence=licence if isinstance(licence, str) else UNKNOWN_LICENCE,
            attribution=f"{name}, from {where}; changed: converted to ONNX and quantised to int8 by this project",
            languages=[languages] if isinstance(languages, str) else list(map(str, languages)),
        )

    def write_licence(self, model_dir: Path) -> None:
        """Write NOTICE, and the licence's text where it asks to be passed on and is at hand."""
        notice = f"{self.attribution}.\nRevision: {self.revision}\nLicence: {self.licence}\n"
        (model_dir / "NOTICE").write_text(notice, encoding="utf-8")
        text = LICENCES / f"{self.licence}.txt"
        if text.is_file():
            (model_dir / "LICENSE").write_bytes(text.read_bytes())


def _find_in_cache(name: str) -> tuple[str, Path]:
    """Return the commit and the model card of a model of the hub."""
    from huggingface_hub import hf_hub_download

    config = Path(hf_hub_download(name, "config.json"))
    with suppress(OSError):  # the cache alone may lack it, and some models have none
        hf_hub_download(name, "README.md")
    return config.parent.name, config.with_name("README.md")


def _hash_weights(folder: Path) -> str:
    for path in sorted(path for name in WEIGHT_FILES for path in folder.rglob(name)):
        return f"{path.name} sha256:{sha256_of(path)}"
    return "unknown"


def _read_metadata(readme: Path) -> dict[str, Any]:
    from huggingface_hub import metadata_load

    return (metadata_load(readme) if readme.is_file() else None) or {}
