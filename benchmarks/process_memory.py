"""What processes hold, as if nothing else on the machine used the same files.

PSS divides a page of a library by all who map it, so a second Python server on the machine makes the first look
smaller. Here what master and workers share counts once, and strangers do not count. On a machine of its own, such as a
container, this is the PSS.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_MAPPING = re.compile(rb"^[0-9a-f]+-[0-9a-f]+ \S+ (\S+) \S+ (\S+)")


@dataclass(frozen=True, slots=True)
class TreeMemory:
    """The memory of some processes together, in MB of 2**20 bytes.

    Args:
        anonymous_mb: what no file backs; the kernel cannot drop it.
        file_mb: pages of libraries and mapped files, each counted once.
        pss_mb: what the kernel says, strangers' sharing included; the sum of the two others at most.
    """

    anonymous_mb: float
    file_mb: float
    pss_mb: float

    @property
    def total_mb(self) -> float:
        return self.anonymous_mb + self.file_mb


def read_tree(pids: Iterable[int], proc: Path = Path("/proc")) -> TreeMemory:
    """Read what these processes hold together; one that has ended counts nothing."""
    anonymous_kb = pss_kb = 0.0
    files_kb: dict[tuple[bytes, bytes], float] = {}
    for pid in pids:
        try:
            smaps = (proc / str(pid) / "smaps").read_bytes()
            rollup = (proc / str(pid) / "smaps_rollup").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        pss_kb += _read_field(rollup, b"Pss")
        # Only relatives share pages that no file backs, so the kernel's own division is right for these.
        anonymous_kb += _read_field(rollup, b"Pss_Anon")
        for place, size_kb in _file_pages(smaps).items():
            files_kb[place] = max(files_kb.get(place, 0.0), size_kb)
    return TreeMemory(anonymous_kb / 1024, sum(files_kb.values()) / 1024, pss_kb / 1024)


def _file_pages(smaps: bytes) -> Mapping[tuple[bytes, bytes], float]:
    """Map (inode, offset) of each mapping to the KB of it that are in memory and come from the file."""
    pages: dict[tuple[bytes, bytes], float] = {}
    place = (b"", b"")
    for line in smaps.splitlines():
        if match := _MAPPING.match(line):
            place = (match[2], match[1])
        elif line.startswith((b"Rss:", b"Anonymous:")):
            sign = 1 if line.startswith(b"Rss:") else -1
            pages[place] = pages.get(place, 0.0) + sign * int(line.split()[1])
    return {place: size for place, size in pages.items() if place[0] != b"0"}


def _read_field(rollup: bytes, name: bytes) -> float:
    _, found, rest = rollup.partition(b"\n" + name + b":")
    if not found:
        raise ValueError(f"The kernel does not tell {name.decode()}; Linux 5.4 or newer does.")
    return float(rest.split(None, 1)[0])
