"""What this server's processes hold, read from /proc: the gunicorn master, its workers, or a lone process.

Where there is no /proc (macOS), psutil stands in; it is imported only there, because it costs 1 MB that the rest of
this package has no use for.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PROC = Path("/proc")
MB = 1024 * 1024
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

Role = Literal["master", "worker", "single"]


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


def list_pids(proc: Path = PROC) -> list[int]:
    """List the processes of this server, the master first.

    A forked process keeps its parent's command line, so the master is the highest ancestor with the same one.
    """
    root = os.getpid()
    command = _read_command(proc, root)
    while command and (parent := _read_parent(proc, root)) > 0 and _read_command(proc, parent) == command:
        root = parent
    pids = [root]
    for pid in pids:
        pids.extend(_read_children(proc, pid, command))
    if os.getpid() not in pids:
        pids.append(os.getpid())
    return pids


def read_processes(proc: Path = PROC) -> tuple[ProcessMemory, ...]:
    """Read each process of this server; one that ends meanwhile is left out."""
    if not proc.is_dir():
        return (_read_with_psutil(),)
    pids = list_pids(proc)
    found = []
    for pid in pids:
        try:
            status = _read_status(proc, pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
        role: Role = "single" if len(pids) == 1 else "master" if pid == pids[0] else "worker"
        pss = read_pss_mb(pid, proc)
        rss, vms, threads = status["VmRSS"] / 1024, status["VmSize"] / 1024, status["Threads"]
        found.append(ProcessMemory(pid, role, rss, pss, vms, threads))
    return tuple(found)


def read_tree_mb(proc: Path = PROC) -> tuple[float, bool]:
    """Sum the PSS of this server's processes, or their RSS (False) where the kernel does not tell the PSS."""
    if not proc.is_dir():
        return read_own_memory_mb()[0], False
    total_mb, is_pss = 0.0, True
    for pid in list_pids(proc):
        pss_mb = read_pss_mb(pid, proc)
        if pss_mb is None:
            is_pss = is_pss and not (proc / str(pid)).is_dir()
            pss_mb = _read_rss_mb(pid, proc)
        total_mb += pss_mb
    return total_mb, is_pss


def read_pss_mb(pid: int, proc: Path = PROC) -> float | None:
    """Read the PSS of a process; None where it cannot be read."""
    try:
        rollup = (proc / str(pid) / "smaps_rollup").read_bytes()
    except OSError:
        return None
    _, found, rest = rollup.partition(b"\nPss:")
    return int(rest.split(None, 1)[0]) / 1024 if found else None


def read_own_memory_mb(proc: Path = PROC) -> tuple[float, float]:
    """Read this process's RSS and the part of it that no file backs, in about 10 µs."""
    try:
        _, resident, shared, *_ = (proc / "self" / "statm").read_bytes().split()
    except OSError:
        rss_mb = _read_with_psutil().rss_mb
        return rss_mb, rss_mb
    return int(resident) * _PAGE_BYTES / MB, (int(resident) - int(shared)) * _PAGE_BYTES / MB


def read_own_vms_mb(proc: Path = PROC) -> float:
    """Read this process's address space, in about 10 µs; 0 where there is no /proc."""
    try:
        return int((proc / "self" / "statm").read_bytes().split()[0]) * _PAGE_BYTES / MB
    except OSError:
        return 0.0


def _read_rss_mb(pid: int, proc: Path) -> float:
    try:
        return int((proc / str(pid) / "statm").read_bytes().split()[1]) * _PAGE_BYTES / MB
    except OSError:
        return 0.0


def _read_command(proc: Path, pid: int) -> bytes:
    try:
        return (proc / str(pid) / "cmdline").read_bytes()
    except OSError:
        return b""


def _read_parent(proc: Path, pid: int) -> int:
    try:
        # The command in parentheses may hold anything, spaces and parentheses too.
        return int((proc / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()[1])
    except OSError:
        return 0


def _read_children(proc: Path, pid: int, command: bytes) -> Iterator[int]:
    try:
        children = (proc / str(pid) / "task" / str(pid) / "children").read_bytes().split()
    except OSError:
        return
    for child in map(int, children):
        if _read_command(proc, child) == command:
            yield child


def _read_status(proc: Path, pid: int) -> dict[str, int]:
    wanted = ("VmRSS", "VmSize", "Threads")
    lines = (line.split() for line in (proc / str(pid) / "status").read_text().splitlines())
    values = dict.fromkeys(wanted, 0)
    values.update({words[0][:-1]: int(words[1]) for words in lines if words and words[0][:-1] in wanted})
    return values


def _read_with_psutil() -> ProcessMemory:
    import psutil

    process = psutil.Process()
    memory = process.memory_info()
    return ProcessMemory(process.pid, "single", memory.rss / MB, None, memory.vms / MB, process.num_threads())
