"""Reads how much memory the service is charged, how much it may have, and what each of its processes holds.

Inside a container whose limit binds, what the container is charged counts. Where no cgroup limit is set, or only one
above `MEMORY_LIMIT_MB` (a developer's container, full of other programs), the PSS of this server's processes counts:
the gunicorn master and its workers, or a lone process.

What every chat needs is read from /proc in microseconds. What only a report shows is read with psutil, which is
imported then: it costs 1 MB.
"""

import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Literal

from src.memory.cgroup import Cgroup

Source = Literal["cgroup2", "cgroup1", "pss", "rss"]
Role = Literal["master", "worker", "single"]

MB = 1024 * 1024
# Reading the PSS of a loaded server takes milliseconds: the kernel walks every page table.
TREE_CACHE_S = 1.0
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / MB

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MemoryReading:
    """What is charged against which limit, in MB of 1024 * 1024 bytes."""

    charged_mb: float
    limit_mb: float
    source: Source

    @property
    def percent(self) -> float:
        """Return the charge as a share of the limit, 0 to 100 and beyond."""
        return 100 * self.charged_mb / self.limit_mb


@dataclass(frozen=True, slots=True)
class OwnMemory:
    """The memory of this process.

    Args:
        anonymous_mb: the part of the RSS that no file backs, so that the kernel cannot drop it.
        vms_mb: the address space; 0 where there is no /proc.
    """

    rss_mb: float
    anonymous_mb: float
    vms_mb: float


@dataclass(frozen=True, slots=True)
class ProcessMemory:
    """One process of the server.

    Args:
        pss_mb: its share of what it maps, shared pages divided by their users; None where the kernel does not tell.
    """

    pid: int
    role: Role
    rss_mb: float
    pss_mb: float | None
    vms_mb: float
    threads: int


class MemoryProbe:
    """Reads the charge, cheaply enough for every chat.

    Args:
        limit_mb: what the tier allows; a lower limit of the cgroup wins, and is then the attribute `limit_mb`.
        proc: where the kernel shows the processes; where there is none, this process alone is counted.
    """

    def __init__(
        self, limit_mb: int, *, cgroup_root: Path = Path("/sys/fs/cgroup"), proc: Path = Path("/proc")
    ) -> None:
        self._proc = proc
        self._lock = Lock()
        self._said: set[str] = set()
        self._tree: tuple[float, int, MemoryReading] | None = None
        self._cgroup = self._find_cgroup(cgroup_root, limit_mb)
        self.limit_mb = self._cgroup.limit_bytes / MB if self._cgroup else float(limit_mb)

    def read(self, *, is_fresh: bool = False) -> MemoryReading:
        """Read the charge from the cgroup, or from the process tree where there is none to read.

        Args:
            is_fresh: read the processes even if they were read within the last `TREE_CACHE_S`.
        """
        if self._cgroup is not None:
            try:
                charged = self._cgroup.read_charged_bytes()
            except (OSError, ValueError) as exc:
                self._say_once(f"The memory cgroup cannot be read ({exc}); the processes' own memory is counted.")
            else:
                return MemoryReading(charged / MB, self.limit_mb, self._cgroup.version)
        with self._lock:
            now = time.monotonic()
            # After a fork the cache is the parent's.
            is_stale = self._tree is None or now - self._tree[0] > TREE_CACHE_S or self._tree[1] != os.getpid()
            if self._tree is None or is_stale or is_fresh:
                self._tree = now, os.getpid(), self._read_tree()
            return self._tree[2]

    def own(self) -> OwnMemory:
        """Read the memory of this process, in about 10 µs."""
        try:
            size, resident, shared, *_ = map(int, (self._proc / "self" / "statm").read_bytes().split())
        except OSError:
            import psutil

            rss_mb = psutil.Process().memory_info().rss / MB
            return OwnMemory(rss_mb, rss_mb, 0.0)
        return OwnMemory(resident * _PAGE_MB, (resident - shared) * _PAGE_MB, size * _PAGE_MB)

    def processes(self) -> tuple[ProcessMemory, ...]:
        """Read each process of this server, the master first; milliseconds, so for reports only."""
        import psutil

        pids = self._list_pids()
        found = []
        for pid in pids:
            try:
                process = psutil.Process(pid)
                memory, threads = process.memory_info(), process.num_threads()
            except psutil.NoSuchProcess:  # it has ended meanwhile
                continue
            role: Role = "single" if len(pids) == 1 else "master" if pid == pids[0] else "worker"
            found.append(ProcessMemory(pid, role, memory.rss / MB, self._read_pss_mb(pid), memory.vms / MB, threads))
        return tuple(found)

    def describe(self) -> str:
        """Put this process and the charge, read anew, into the words of a log line."""
        reading, own = self.read(is_fresh=True), self.own()
        available_mb = max(0.0, reading.limit_mb - reading.charged_mb)
        return (
            f"RSS={own.rss_mb:.1f} MB, VMS={own.vms_mb:.0f} MB, charged={reading.charged_mb:.1f} MB of "
            f"{reading.limit_mb:.0f} MB ({reading.percent:.1f}%), available={available_mb:.1f} MB"
        )

    def _find_cgroup(self, cgroup_root: Path, limit_mb: int) -> Cgroup | None:
        if not self._proc.is_dir():
            return None
        try:
            cgroup = Cgroup.find(cgroup_root, self._proc / "self" / "cgroup")
        except (OSError, ValueError) as exc:
            logger.warning("No memory cgroup can be found (%s); the processes' own memory is counted.", exc)
            return None
        return cgroup if cgroup and cgroup.limit_bytes <= limit_mb * MB else None

    def _read_tree(self) -> MemoryReading:
        """Sum the PSS of this server's processes, or their RSS where the kernel does not tell the PSS."""
        if not self._proc.is_dir():
            total_mb, is_pss = self.own().rss_mb, False
        else:
            total_mb, is_pss = 0.0, True
            for pid in self._list_pids():
                pss_mb = self._read_pss_mb(pid)
                if pss_mb is None:
                    # A process that has just ended has no PSS either; that says nothing of the kernel.
                    is_pss = is_pss and not (self._proc / str(pid)).is_dir()
                    statm = self._read_file(pid, "statm").split()
                    pss_mb = int(statm[1]) * _PAGE_MB if statm else 0.0
                total_mb += pss_mb
        if not is_pss:
            self._say_once("The kernel does not tell the PSS of the processes; their RSS is counted.")
        return MemoryReading(total_mb, self.limit_mb, "pss" if is_pss else "rss")

    def _list_pids(self) -> list[int]:
        """List the processes of this server, the master first.

        A forked process keeps the command line of its parent: a parent with the same one is the master.
        """
        own, parent = os.getpid(), os.getppid()
        command = self._read_file(own, "cmdline")
        master = parent if command and self._read_file(parent, "cmdline") == command else own
        children = map(int, self._read_file(master, f"task/{master}/children").split())
        workers = [pid for pid in children if pid != own and self._read_file(pid, "cmdline") == command]
        return [master, *([own] if own != master else []), *workers]

    def _read_pss_mb(self, pid: int) -> float | None:
        _, found, rest = self._read_file(pid, "smaps_rollup").partition(b"\nPss:")
        return int(rest.split(None, 1)[0]) / 1024 if found else None

    def _read_file(self, pid: int, name: str) -> bytes:
        """Read a file of a process; nothing where it has ended or may not be read."""
        try:
            return (self._proc / str(pid) / name).read_bytes()
        except OSError:
            return b""

    def _say_once(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            logger.warning(message)
