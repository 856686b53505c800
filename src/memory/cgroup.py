"""The memory cgroup this process is charged to: the one on the path up whose limit is the lowest, v2 or v1.

In a container the path in `/proc/self/cgroup` may be the host's, which does not exist here. Then the container's own
group is the nearest folder above that path that does exist; at last the root of the mount.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

CgroupVersion = Literal["cgroup2", "cgroup1"]

# Without a limit v1 says LONG_MAX rounded down to pages; no machine has half of that.
NO_LIMIT_BYTES = 1 << 62
_LIMIT_FILES: dict[CgroupVersion, str] = {"cgroup2": "memory.max", "cgroup1": "memory.limit_in_bytes"}
_USAGE_FILES: dict[CgroupVersion, str] = {"cgroup2": "memory.current", "cgroup1": "memory.usage_in_bytes"}
# Both count the groups below too.
_INACTIVE_KEYS: dict[CgroupVersion, bytes] = {"cgroup2": b"\ninactive_file ", "cgroup1": b"\ntotal_inactive_file "}


@dataclass(frozen=True, slots=True)
class Cgroup:
    """A memory cgroup that has a limit."""

    version: CgroupVersion
    directory: Path
    limit_bytes: int

    @classmethod
    def find(cls, cgroup_root: Path, membership: Path) -> Self | None:
        """Find the group whose limit binds this process; None where no limit is set.

        Args:
            cgroup_root: where the cgroup file systems are mounted, usually `/sys/fs/cgroup`.
            membership: `/proc/self/cgroup`.

        Raises:
            OSError, ValueError: the membership or a limit cannot be read.
        """
        groups = [
            cls(version, directory, limit)
            for version, directory in _directories(cgroup_root, membership)
            if (limit := _read_limit(directory / _LIMIT_FILES[version])) is not None
        ]
        return min(groups, key=lambda group: group.limit_bytes, default=None)

    def read_charged_bytes(self) -> int:
        """Read what cannot be given up: usage less the file pages that the kernel drops first.

        Raises:
            OSError, ValueError: a file of the group is missing or not as expected.
        """
        usage = int((self.directory / _USAGE_FILES[self.version]).read_bytes())
        stat = b"\n" + (self.directory / "memory.stat").read_bytes()
        key = _INACTIVE_KEYS[self.version]
        _, found, rest = stat.partition(key)
        if not found:
            raise ValueError(f"{self.directory}/memory.stat has no line {key.decode().strip()}")
        return max(0, usage - int(rest.split(b"\n", 1)[0]))


def _directories(cgroup_root: Path, membership: Path) -> Iterator[tuple[CgroupVersion, Path]]:
    """List the groups from this process's own up to the root, as far as they exist here."""
    for line in membership.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            version: CgroupVersion = "cgroup1"
            root = cgroup_root / "memory"
        elif not controllers:
            version, root = "cgroup2", cgroup_root
        else:
            continue
        directory = root / path.lstrip("/")
        for candidate in (directory, *directory.parents):
            if candidate.is_dir():
                yield version, candidate
            if candidate == root:
                break


def _read_limit(path: Path) -> int | None:
    """Read a limit in bytes; None where it is not set or the group (a v2 root) has no such file."""
    try:
        text = path.read_text().strip()
    except FileNotFoundError:
        return None
    limit = NO_LIMIT_BYTES if text == "max" else int(text)
    return limit if limit < NO_LIMIT_BYTES else None
