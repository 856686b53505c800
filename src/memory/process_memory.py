"""What this server's processes hold: the gunicorn master, its workers, or a lone process.

What every chat needs is read from /proc in microseconds. What only a report shows is read with psutil, which is
imported then: it costs 1 MB.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PROC = Path("/proc")
MB = 1024 * 1024
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

Role = Literal["master", "worker", "single"]


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
