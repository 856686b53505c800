"""What a tree of processes holds, read from a /proc written by hand and from the real one."""

import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.process_memory import read_tree

SMAPS = """\
00400000-00500000 r-xp 00000000 fe:00 77                         /usr/lib/libshared.so
Size:               1024 kB
Rss:                {shared} kB
Pss:                   1 kB
Anonymous:             0 kB
00500000-00600000 rw-p 00100000 fe:00 77                         /usr/lib/libshared.so
Rss:                 300 kB
Anonymous:           200 kB
00600000-00700000 rw-p 00000000 00:00 0                          [heap]
Rss:                4096 kB
Anonymous:          4096 kB
"""


def write_process(proc: Path, pid: int, *, shared_kb: int, anonymous_kb: int, pss_kb: int) -> None:
    folder = proc / str(pid)
    folder.mkdir()
    (folder / "smaps").write_text(SMAPS.format(shared=shared_kb))
    (folder / "smaps_rollup").write_text(f"x [rollup]\nRss: 1 kB\nPss: {pss_kb} kB\nPss_Anon: {anonymous_kb} kB\n")


def test_pages_of_a_file_count_once_in_a_tree(tmp_path: Path) -> None:
    """Two processes map 700 and 900 KB of a library, and 100 KB of its data unchanged: 1,000 KB, not 1,800."""
    write_process(tmp_path, 1, shared_kb=700, anonymous_kb=3072, pss_kb=10240)
    write_process(tmp_path, 2, shared_kb=900, anonymous_kb=2048, pss_kb=5120)
    memory = read_tree([1, 2], tmp_path)
    assert memory.file_mb == pytest.approx(1000 / 1024)
    assert memory.anonymous_mb == 5
    assert memory.total_mb == pytest.approx(5 + 1000 / 1024)
    assert memory.pss_mb == 15


def test_process_that_ended_counts_nothing(tmp_path: Path) -> None:
    """A worker may go between listing and reading."""
    write_process(tmp_path, 1, shared_kb=0, anonymous_kb=1024, pss_kb=1024)
    assert read_tree([1, 999], tmp_path).anonymous_mb == 1


def test_kernel_that_does_not_tell_is_said_so(tmp_path: Path) -> None:
    """Before Linux 5.4 there is no Pss_Anon; a wrong number would be worse than none."""
    write_process(tmp_path, 1, shared_kb=0, anonymous_kb=0, pss_kb=0)
    (tmp_path / "1" / "smaps_rollup").write_text("x [rollup]\nPss: 5 kB\n")
    with pytest.raises(ValueError, match=r"Linux 5\.4"):
        read_tree([1], tmp_path)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="no /proc with smaps here")
def test_memory_written_by_a_real_process_is_seen() -> None:
    """64 MB written here, and nowhere else, are 64 MB more."""
    before = read_tree([os.getpid()])
    block = mmap.mmap(-1, 64 * 2**20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    block.write(b"x" * len(block))
    grown_mb = read_tree([os.getpid()]).total_mb - before.total_mb
    block.close()
    assert grown_mb == pytest.approx(64, abs=2)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="no /proc with smaps here")
def test_two_interpreters_hold_less_together_than_apart() -> None:
    """They share the interpreter's own pages."""
    command = [sys.executable, "-c", "print(flush=True); input()"]
    twins = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)]
    for twin in twins:
        assert twin.stdout
        twin.stdout.readline()
    apart = [read_tree([twin.pid]) for twin in twins]
    together = read_tree(twin.pid for twin in twins)
    for twin in twins:
        twin.communicate(b"\n")
    assert together.file_mb < sum(memory.file_mb for memory in apart)
    assert together.anonymous_mb == pytest.approx(sum(memory.anonymous_mb for memory in apart), rel=0.05)
