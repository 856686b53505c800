"""The SHA-256 of each file of an index.

`SHA256SUMS` holds the SHA-256 of every file of the index, so that damage is named before anything opens the file: the
vector store's engine can crash on a block of zeros. The sums are not in the manifest, because the vector store writes
other bytes at every build and one folder of documents has one manifest.
"""

from pathlib import Path

from src.artifacts import CHECKSUMS_FILE, REBUILD, sha256_of
from src.errors import ArtifactError
from src.json_files import may_be_read


def read_checksums(index_dir: Path) -> dict[str, str]:
    """Read the SHA-256 of each file of an index, by path.

    Raises:
        ArtifactError: they cannot be read.
    """
    path = index_dir / CHECKSUMS_FILE
    try:
        with may_be_read():
            lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise ArtifactError(f"{path} cannot be read ({exc}). {REBUILD}") from exc
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def write_checksums(index_dir: Path) -> None:
    """Write the sums of all files, in the format of `sha256sum`; the build does this last."""
    lines = [f"{sha256_of(index_dir / name)}  {name}\n" for name in _list_files(index_dir)]
    (index_dir / CHECKSUMS_FILE).write_text("".join(lines), encoding="utf-8")


def check_checksums(index_dir: Path) -> None:
    """Read every file and compare.

    Raises:
        ArtifactError: naming the first file that is damaged, missing or unknown.
    """
    known = read_checksums(index_dir)
    found = _list_files(index_dir)
    for name in sorted({*known, *found}):
        require_whole(name in found, f"{name} is missing")
        require_whole(name in known, f"{name} is not of this index: {CHECKSUMS_FILE} does not name it")
        is_whole = sha256_of(index_dir / name) == known[name]
        require_whole(is_whole, f"{name} is damaged: its SHA-256 is not the one that {CHECKSUMS_FILE} names")


def _list_files(index_dir: Path) -> list[str]:
    """List the files by relative path; hidden ones are the system's."""
    paths = (path.relative_to(index_dir) for path in index_dir.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in paths if path.name != CHECKSUMS_FILE and not path.name.startswith("."))


def require_whole(condition: bool, problem: str) -> None:
    """Say what is not whole about an index unless this holds."""
    if not condition:
        raise ArtifactError(f"The index is not whole: {problem}. {REBUILD}")
