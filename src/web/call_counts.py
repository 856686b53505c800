"""Counts calls by client address in memory that all workers of this server share, so that a hand-over forgets nothing.

It is a sliding window: calls of this period, and of the one before in the share that still counts. A table of fixed
size holds two numbers for an address; 1.3 MB are enough for 65,536 addresses. Where more call within two periods, the
ones whose calls are oldest give way.
"""

import hashlib
import os
import struct
import time
from ipaddress import ip_address
from mmap import mmap

from src.web.shared_lock import SharedLock

# Address, period, calls in the period before, calls in this one.
_ENTRY = struct.Struct("<QIII")
_ENTRIES_PER_BUCKET = 8
_BUCKETS = 8192


class CallCounts:
    """Calls of each address within a period; made before the workers are forked, which inherit it.

    Args:
        limit: calls that one address may make in `period_s` seconds.
    """

    def __init__(self, limit: int, period_s: int) -> None:
        self._limit, self._period_s = limit, period_s
        self._table = mmap(-1, _BUCKETS * _ENTRIES_PER_BUCKET * _ENTRY.size)
        # Nobody can choose addresses that share a bucket.
        self._secret = os.urandom(16)
        self._lock = SharedLock()

    def take(self, address: str) -> bool:
        """Count a call, unless the address has used up its calls; tell whether it was counted."""
        now = time.time()
        period, share_left = int(now // self._period_s), 1 - now % self._period_s / self._period_s
        key = int.from_bytes(hashlib.blake2b(network_of(address), digest_size=8, key=self._secret).digest(), "little")
        with self._lock:
            place, begun, before, calls = self._find(key)
            if begun != period:
                before, calls = (calls, 0) if begun == period - 1 else (0, 0)
            if calls + before * share_left >= self._limit:
                return False
            _ENTRY.pack_into(self._table, place, key, period, before, calls + 1)
            return True

    def _find(self, key: int) -> tuple[int, int, int, int]:
        """Return place, period and counts of an address; for a new one the place whose calls are oldest."""
        start = key % _BUCKETS * _ENTRIES_PER_BUCKET * _ENTRY.size
        oldest = (2**32, start)
        for place in range(start, start + _ENTRIES_PER_BUCKET * _ENTRY.size, _ENTRY.size):
            found, period, before, calls = _ENTRY.unpack_from(self._table, place)
            if found == key:
                return place, period, before, calls
            oldest = min(oldest, (period, place))
        return oldest[1], 0, 0, 0


def network_of(address: str) -> bytes:
    """Give what one caller has: an IPv4 address, or the 64 bits of an IPv6 network, in which addresses are free."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address.encode()
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return ip.packed[:8]
