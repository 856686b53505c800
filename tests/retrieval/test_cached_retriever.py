"""What a worker leaves to its successor, and what memory it takes."""

import pytest

from src.retrieval.byte_cache import ByteCache


@pytest.fixture
def cache() -> ByteCache[str, str]:
    filled: ByteCache[str, str] = ByteCache(100, len)
    for key in "abc":
        filled.put(key, key * 10)
    return filled


def test_newest_are_those_used_last(cache: ByteCache[str, str]) -> None:
    """Asked again is used again, though it was kept first."""
    cache.get("a")
    assert cache.newest(20) == [("c", "c" * 10), ("a", "a" * 10)]
    assert [key for key, _ in cache.newest(1000)] == ["b", "c", "a"]
    assert cache.newest(5) == []


def test_newest_leaves_the_cache_as_it_was(cache: ByteCache[str, str]) -> None:
    """The elder goes on with it while the successor loads; what goes first, still goes first."""
    cache.get("a")
    before = cache.stats()
    cache.newest(20)
    assert cache.stats() == before
    cache.put("d", "d" * 80)
    assert [key for key, _ in cache.newest(1000)] == ["c", "a", "d"]
