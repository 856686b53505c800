"""The charge as a cgroup folder and this process as a /proc folder, whose numbers a test writes."""

import os
from pathlib import Path

from src.memory.memory_probe import MemoryProbe

MB = 1024 * 1024
PAGES_PER_MB = MB // os.sysconf("SC_PAGE_SIZE")
FILE_MB = 7


class FakeMemory:
    def __init__(self, folder: Path, limit_mb: int) -> None:
        self._group, self._own = folder / "cgroup", folder / "proc/self"
        self._group.mkdir(parents=True)
        self._own.mkdir(parents=True)
        (self._own / "cgroup").write_text("0::/\n")
        (self._group / "memory.max").write_text(str(limit_mb * MB))
        (self._group / "memory.stat").write_text("inactive_file 0\n")
        self.probe = MemoryProbe(512, cgroup_root=self._group, proc=folder / "proc")

    def charge(self, charged_mb: float) -> None:
        (self._group / "memory.current").write_text(str(int(charged_mb * MB)))

    def hold(self, anonymous_mb: int, vms_mb: int = 900) -> None:
        """Set what this process has: its RSS is what no file backs and 7 MB of files."""
        vms, rss, files = (mb * PAGES_PER_MB for mb in (vms_mb, anonymous_mb + FILE_MB, FILE_MB))
        (self._own / "statm").write_text(f"{vms} {rss} {files} 1 0 1 0\n")
