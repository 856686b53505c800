"""A real box of memory and CPU for a command: a cgroup made for it, v2 or v1, and removed afterwards.

    with Box(memory_mb=512, cpus=0.1) as box:
        process = box.start(["gunicorn", "app:app"])
        ...
        print(box.peak_mb, box.oom_kills)

It needs Linux, root and a writable cgroup file system; where one is missing, entering raises `BoxUnavailable`, which
says what and how it can be had. It never runs a command outside a box while claiming otherwise.
"""

import itertools
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any, Literal, Self

MB = 1024 * 1024
PERIOD_US = 100_000
_numbers = itertools.count()

HOW_TO = (
    "Run it as root on a machine with a writable /sys/fs/cgroup, or let a container be the box: "
    "docker run --memory=512m --memory-swap=512m --cpus=0.1 ..."
)


class BoxUnavailable(Exception):
    """No cgroup can be made here; the message says why and what to do."""


class Box:
    """A cgroup with limits.

    Args:
        cpus: share of one CPU's time, as Render counts; None: no limit.
    """

    def __init__(
        self, memory_mb: int = 512, cpus: float | None = 0.1, *, cgroup_root: Path = Path("/sys/fs/cgroup")
    ) -> None:
        self.memory_mb = memory_mb
        self.cpus = cpus
        self._root = cgroup_root
        self._name = f"rag512-{os.getpid()}-{next(_numbers)}"
        self._groups: list[Path] = []
        self.version: Literal[1, 2] = 2 if (cgroup_root / "cgroup.controllers").exists() else 1

    def __enter__(self) -> Self:
        try:
            self._make_v2() if self.version == 2 else self._make_v1()
        except OSError as exc:
            self._remove()
            raise BoxUnavailable(f"No cgroup v{self.version} can be made ({exc}). {HOW_TO}") from exc
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    @property
    def memory_group(self) -> Path:
        """The folder of the memory cgroup."""
        return self._groups[0]

    def start(self, command: Sequence[str], **popen: Any) -> "subprocess.Popen[bytes]":
        """Start a command inside the box, with all that it starts."""
        joins = "".join(f"echo $$ > '{group}/cgroup.procs' && " for group in self._groups)
        return subprocess.Popen(["/bin/sh", "-c", f'{joins}exec "$@"', "box", *command], **popen)

    @property
    def peak_mb(self) -> float:
        """The highest charge so far, file pages included; the limit caps it, because the kernel then drops them."""
        return self._read("memory.peak", "memory.max_usage_in_bytes") / MB

    @property
    def working_set_mb(self) -> float:
        """The charge less inactive file pages: what the server itself goes by."""
        key = "inactive_file" if self.version == 2 else "total_inactive_file"
        charged = self._read("memory.current", "memory.usage_in_bytes")
        return max(0, charged - self._read_stat("memory.stat", key)) / MB

    @property
    def oom_kills(self) -> int:
        """How many processes the kernel has killed in the box for want of memory."""
        return self._read_stat("memory.events" if self.version == 2 else "memory.oom_control", "oom_kill")

    def _make_v2(self) -> None:
        controllers = "+memory" if self.cpus is None else "+memory +cpu"
        (self._root / "cgroup.subtree_control").write_text(controllers)
        group = self._make(self._root)
        (group / "memory.max").write_text(str(self.memory_mb * MB))
        _write_if_there(group / "memory.swap.max", "0")
        if self.cpus is not None:
            (group / "cpu.max").write_text(f"{round(self.cpus * PERIOD_US)} {PERIOD_US}")

    def _make_v1(self) -> None:
        limit = str(self.memory_mb * MB)
        group = self._make(self._root / "memory")
        (group / "memory.limit_in_bytes").write_text(limit)
        _write_if_there(group / "memory.memsw.limit_in_bytes", limit)
        if self.cpus is not None:
            group = self._make(self._root / "cpu")
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(round(self.cpus * PERIOD_US)))

    def _make(self, parent: Path) -> Path:
        for abandoned in parent.glob("rag512-*"):
            if not Path("/proc", abandoned.name.split("-")[1]).exists():
                _empty_and_remove(abandoned)
        group = parent / self._name
        group.mkdir()
        self._groups.append(group)
        return group

    def _remove(self) -> None:
        """Kill what is left inside and remove the groups."""
        for group in self._groups:
            _empty_and_remove(group)
        self._groups = []

    def _read(self, v2: str, v1: str) -> int:
        return int((self.memory_group / (v2 if self.version == 2 else v1)).read_text())

    def _read_stat(self, name: str, key: str) -> int:
        lines = (line.split() for line in (self.memory_group / name).read_text().splitlines())
        return next((int(words[1]) for words in lines if words[0] == key), 0)


def box_if(is_wanted: bool) -> AbstractContextManager[Box | None]:
    """Make the free tier's box, or none."""
    return Box() if is_wanted else nullcontext()


def _empty_and_remove(group: Path) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for pid in map(int, (group / "cgroup.procs").read_text().split()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with suppress(OSError):  # busy while a process ends
            group.rmdir()
            return
        time.sleep(0.01)
    raise TimeoutError(f"{group} cannot be emptied.")


def _write_if_there(path: Path, value: str) -> None:
    """Write a limit that kernels without swap accounting do not have."""
    if path.exists():
        path.write_text(value)
