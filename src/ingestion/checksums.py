"""SHA-256 of every file of an index, in `SHA256SUMS` beside them: damage is named before anything opens the file.

Chroma's engine can crash on a block of zeros. The sums are not in the manifest, because Chroma writes other bytes at
every build and one folder of documents has one manifest. The server reads no sums: hashing would delay its start.
"""

from pathlib import Path

from src.artifacts import CHECKSUMS_FILE, REBUILD, sha256_of
from src.errors import IndexCorrupt


def write_checksums(index_dir: Path) -> None:
    """Write the sums of all files, in the format of `sha256sum`; the build does this last."""
    lines = [f"{sha256_of(index_dir / name)}  {name}\n" for name in _list_files(index_dir)]
    (index_dir / CHECKSUMS_FILE).write_text("".join(lines), encoding="utf-8")


def check_checksums(index_dir: Path) -> None:
    """Read every file and compare.

    Raises:
        IndexCorrupt: naming the first file that is damaged, missing or unknown.
    """
    known = _read_checksums(index_dir / CHECKSUMS_FILE)
    found = _list_files(index_dir)
    for name in sorted({*known, *found}):
        if name not in found:
            problem = f"{name} is missing"
        elif name not in known:
            problem = f"{name} is not of this index: {CHECKSUMS_FILE} does not name it"
        elif sha256_of(index_dir / name) != known[name]:
            problem = f"{name} is damaged: its SHA-256 is not the one that {CHECKSUMS_FILE} names"
        else:
            continue
        raise IndexCorrupt(f"The index in {index_dir} is not whole: {problem}. {REBUILD}")


def _list_files(index_dir: Path) -> list[str]:
    """List the files by relative path; hidden ones are the system's."""
    paths = (path.relative_to(index_dir) for path in index_dir.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in paths if path.name != CHECKSUMS_FILE and not path.name.startswith("."))


def _read_checksums(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise IndexCorrupt(f"{path} cannot be read ({exc}). {REBUILD}") from exc
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
