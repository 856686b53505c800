"""The C library's heap, in which numpy, onnxruntime, SQLite and Chroma allocate.

These are calls of glibc; with another C library they do nothing. ctypes costs 0.7 MB, so it is imported when a call is
made, not at start.
"""

from typing import Any

M_ARENA_MAX = -8


def trim_heap() -> None:
    """Return the free pages to the system."""
    _call("malloc_trim", 0)


def share_heap() -> None:
    """Let all threads that start later share one arena; otherwise each keeps free pages in its own.

    They hardly wait for each other: Python runs one thread at a time, and embedding is one at a time too.
    """
    _call("mallopt", M_ARENA_MAX, 1)


def _call(name: str, *arguments: int) -> None:
    import ctypes

    function: Any = getattr(ctypes.CDLL(None), name, None)
    if function is not None:
        function(*arguments)
