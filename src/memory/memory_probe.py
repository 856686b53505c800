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

PROC = Path("/proc")
MB = 1024 * 1024
# Reading the PSS of a loaded server takes milliseconds: the kernel walks every page table.
TREE_CACHE_S = 1.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

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

    @property
    def available_mb(self) -> float:
        """Return what is left up to the limit, in MB; 0 beyond it."""
        return max(0.0, self.limit_mb - self.charged_mb)


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
        limit_mb: what the tier allows; a lower limit of the cgroup wins.
    """

    def __init__(self, limit_mb: int, *, cgroup_root: Path = Path("/sys/fs/cgroup"), proc: Path = PROC) -> None:
        self._limit_mb = float(limit_mb)
        self._cgroup_root = cgroup_root
        self._proc = proc
        self._lock = Lock()
        self._said: set[str] = set()
        self._tree: tuple[float, int, MemoryReading] | None = None
        self._cgroup = self._find_cgroup()

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
        return self._read_tree(is_fresh)

    @property
    def limit_mb(self) -> float:
        """Return the limit that binds."""
        return self._cgroup.limit_bytes / MB if self._cgroup else self._limit_mb

    def own(self) -> OwnMemory:
        """Read the memory of this process; microseconds."""
        return read_own_memory(self._proc)

    def processes(self) -> tuple[ProcessMemory, ...]:
        """Read every process of this server; milliseconds, so for reports only."""
        return read_processes(self._proc)

    def describe(self) -> str:
        """Put this process and the charge, read anew, into the words of a log line."""
        reading, own = self.read(is_fresh=True), self.own()
        return (
            f"RSS={own.rss_mb:.1f} MB, VMS={own.vms_mb:.0f} MB, charged={reading.charged_mb:.1f} MB of "
            f"{reading.limit_mb:.0f} MB ({reading.percent:.1f}%), available={reading.available_mb:.1f} MB"
        )

    def _find_cgroup(self) -> Cgroup | None:
        if not self._proc.is_dir():
            return None
        try:
            cgroup = Cgroup.find(self._cgroup_root, self._proc / "self" / "cgroup")
        except (OSError, ValueError) as exc:
            self._say_once(f"No memory cgroup can be found ({exc}); the processes' own memory is counted.")
            return None
        return cgroup if cgroup and cgroup.limit_bytes <= self._limit_mb * MB else None

    def _read_tree(self, is_fresh: bool) -> MemoryReading:
        with self._lock:
            now = time.monotonic()
            # After a fork the cache is the parent's.
            is_stale = self._tree is None or now - self._tree[0] > TREE_CACHE_S or self._tree[1] != os.getpid()
            if self._tree is None or is_stale or is_fresh:
                total_mb, is_pss = read_tree_mb(self._proc)
                if not is_pss:
                    self._say_once("The kernel does not tell the PSS of the processes; their RSS is counted.")
                self._tree = now, os.getpid(), MemoryReading(total_mb, self.limit_mb, "pss" if is_pss else "rss")
            return self._tree[2]

    def _say_once(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            logger.warning(message)


def read_own_memory(proc: Path = PROC) -> OwnMemory:
    """Read the memory of this process, in about 10 µs."""
    try:
        size, resident, shared, *_ = map(int, (proc / "self" / "statm").read_bytes().split())
    except OSError:
        import psutil

        rss_mb = psutil.Process().memory_info().rss / MB
        return OwnMemory(rss_mb, rss_mb, 0.0)
    page_mb = _PAGE_BYTES / MB
    return OwnMemory(resident * page_mb, (resident - shared) * page_mb, size * page_mb)


def read_processes(proc: Path = PROC) -> tuple[ProcessMemory, ...]:
    """Read each process of this server for a report, the master first; one that ends meanwhile is left out."""
    import psutil

    pids = list_pids(proc)
    found = []
    for pid in pids:
        try:
            process = psutil.Process(pid)
            memory, threads = process.memory_info(), process.num_threads()
        except psutil.NoSuchProcess:
            continue
        role: Role = "single" if len(pids) == 1 else "master" if pid == pids[0] else "worker"
        found.append(ProcessMemory(pid, role, memory.rss / MB, _read_pss_mb(pid, proc), memory.vms / MB, threads))
    return tuple(found)


def read_tree_mb(proc: Path = PROC) -> tuple[float, bool]:
    """Sum the PSS of this server's processes, or their RSS (False) where the kernel does not tell the PSS."""
    if not proc.is_dir():
        return read_own_memory().rss_mb, False
    total_mb, is_pss = 0.0, True
    for pid in list_pids(proc):
        pss_mb = _read_pss_mb(pid, proc)
        if pss_mb is None:
            # A process that has just ended has no PSS either; that says nothing of the kernel.
            is_pss = is_pss and not (proc / str(pid)).is_dir()
            statm = _read(proc / str(pid) / "statm").split()
            pss_mb = int(statm[1]) * _PAGE_BYTES / MB if statm else 0.0
        total_mb += pss_mb
    return total_mb, is_pss


def list_pids(proc: Path = PROC) -> list[int]:
    """List the processes of this server, the master first.

    A forked process keeps the command line of its parent: a parent with the same one is the master.
    """
    own, parent = os.getpid(), os.getppid()
    command = _read(proc / str(own) / "cmdline")
    master = parent if command and _read(proc / str(parent) / "cmdline") == command else own
    children = map(int, _read(proc / str(master) / "task" / str(master) / "children").split())
    workers = [pid for pid in children if pid != own and _read(proc / str(pid) / "cmdline") == command]
    return [master, *([own] if own != master else []), *workers]


def _read_pss_mb(pid: int, proc: Path) -> float | None:
    _, found, rest = _read(proc / str(pid) / "smaps_rollup").partition(b"\nPss:")
    return int(rest.split(None, 1)[0]) / 1024 if found else None


def _read(path: Path) -> bytes:
    """Read a file of /proc; nothing where the process has ended or may not be read."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
