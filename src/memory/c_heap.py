"""The C library's heap, in which numpy, onnxruntime, SQLite and Chroma allocate; glibc's own calls, elsewhere nothing.

ctypes is imported when needed because it costs 0.7 MB, which a worker at rest does not spend.
"""

from typing import Any

M_ARENA_MAX = -8


def trim_heap() -> None:
    """Return the free pages to the system."""
    _call("malloc_trim", 0)


def share_heap() -> None:
    """Let threads that are yet to come share one arena instead of keeping free pages in one each.

    They hardly meet there: Python runs one at a time, and so does the embedding.
    """
    _call("mallopt", M_ARENA_MAX, 1)


def _call(name: str, *arguments: int) -> None:
    import ctypes

    function: Any = getattr(ctypes.CDLL(None), name, None)
    if function is not None:
        function(*arguments)
