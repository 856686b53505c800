"""Publishes the index of INDEX_DIR: an archive, and its SHA-256 beside it, in a folder or a store that speaks S3."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from src.artifacts import Manifest, sha256_of
from src.checksums import check_checksums
from src.publishing.archive import archive_name, pack
from src.publishing.download import read_digest
from src.publishing.storage import DIGEST_SUFFIX, Target, open_target


def publish_index(index_dir: Path, where: str, tell: Callable[[str], None]) -> str:
    """Publish, unless it is there already; return the two lines to set where the index is to be fetched.

    Raises:
        ArtifactError: the index is not whole.
        StorageError: it cannot be written there.
    """
    target = open_target(where)
    manifest = Manifest.load(index_dir)
    name = archive_name(manifest.fingerprint)
    if target.exists(name) and target.exists(name + DIGEST_SUFFIX):
        digest = read_digest(target, name, tell)
    else:
        check_checksums(index_dir)
        digest = _write(index_dir, target, name)
    return f"INDEX_URL={target.locate(name)}\nINDEX_SHA256={digest}"


def _write(index_dir: Path, target: Target, name: str) -> str:
    """Write the digest last: who finds it finds the archive too."""
    with TemporaryDirectory(prefix="rag512-publish-") as scratch:
        archive, beside = Path(scratch, name), Path(scratch, name + DIGEST_SUFFIX)
        pack(index_dir, archive)
        digest = sha256_of(archive)
        beside.write_text(f"{digest}  {name}\n", encoding="utf-8")
        target.write(name, archive)
        target.write(beside.name, beside)
    return digest
