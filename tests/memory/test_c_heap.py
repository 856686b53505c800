"""The C heap of a process with many threads, by glibc's own account of it."""

import ctypes
import subprocess
import sys

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="needs glibc")

COUNT_HEAPS = """
import ctypes, sys, threading
from src.memory.c_heap import share_heap
if sys.argv[1] == "shared":
    share_heap()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
barrier = threading.Barrier(8)
def work():
    libc.malloc(5000)
    barrier.wait()
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


def count_heaps(how: str) -> int:
    command = [sys.executable, "-c", COUNT_HEAPS, how]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.count("<heap ")


def test_threads_share_one_heap_where_each_had_its_own() -> None:
    """Thirty clients at once would else leave free pages in as many arenas."""
    assert count_heaps("each its own") > 2
    assert count_heaps("shared") == 1
