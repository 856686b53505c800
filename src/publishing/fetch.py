"""Brings the published index that INDEX_URL names into INDEX_DIR.

The old index stays until the new one is whole and checked. Needs nothing but requirements.txt, and requirements-s3.txt
for `s3://`.
"""

from collections.abc import Callable
from pathlib import Path

from src.artifacts import Manifest, ModelCard, sha256_of
from src.checksums import check_checksums
from src.config import Config
from src.errors import ArtifactError, StorageError
from src.ingestion.index_swap import replacing
from src.publishing.archive import parse_fingerprint, unpack
from src.publishing.download import download, read_digest
from src.publishing.storage import open_source
from src.retrieval.vector_store import store_format

PART_PREFIX = ".fetched-"


def fetch_index(config: Config, tell: Callable[[str], None]) -> str:
    """Fetch, unless the index is here already; say in a sentence what was done.

    Args:
        tell: is given lines that say how far it is.

    Raises:
        BuildError: the index does not come or is not one that can be served; the old one is untouched.
    """
    if not config.index_url:
        return f"INDEX_URL is not set: the index in {config.index_dir} stays as it is."
    source, name = open_source(config.index_url)
    fingerprint = parse_fingerprint(name)
    if _is_here(config.index_dir, fingerprint):
        return f"The index {fingerprint} is in {config.index_dir} already."
    with replacing(config.index_dir) as aside:
        digest = config.index_sha256 or read_digest(source, name, tell)
        part = aside.with_name(f"{PART_PREFIX}{digest[:16]}")
        download(source, name, part, tell)
        _require_digest(part, digest, name)
        unpack(part, aside)
        _require_servable(aside, config.model_dir, fingerprint, name)
    for leftover in part.parent.glob(f"{PART_PREFIX}*"):
        leftover.unlink()
    return f"The index {fingerprint} is now in {config.index_dir}."


def _is_here(index_dir: Path, fingerprint: str) -> bool:
    """Tell whether the index is here, and whole: a damaged one is fetched again."""
    try:
        is_here = Manifest.load(index_dir).fingerprint == fingerprint
        if is_here:
            check_checksums(index_dir)
    except ArtifactError:
        return False
    return is_here


def _require_digest(part: Path, digest: str, name: str) -> None:
    found, size = sha256_of(part), part.stat().st_size
    if found != digest:
        part.unlink()
        raise StorageError(
            f"{name} is not what was published: its SHA-256 is {found} ({size:,} bytes), not {digest}. The old index "
            "is as it was. Look at INDEX_URL and INDEX_SHA256, or publish the index again."
        )


def _require_servable(folder: Path, model_dir: Path, fingerprint: str, name: str) -> None:
    """Refuse what the server would refuse."""
    card = ModelCard.load(model_dir)
    try:
        manifest = Manifest.load(folder)
        check_checksums(folder)
        manifest.require_match(card, store_format())
    except ArtifactError as exc:
        raise StorageError(f"{name} cannot be served here. {exc} Then publish it.") from exc
    if manifest.fingerprint != fingerprint:
        raise StorageError(
            f"{name} holds the index {manifest.fingerprint}. Its name must be the one that it was given."
        )
