"""When memory is short: which mode holds, as pure functions of the mode before and the share of the limit in use.

A mode is left only `HYSTERESIS_PERCENT` below where it was entered, so that a charge that sways around a threshold
does not switch the mode with every chat.
"""

from src.records import MemoryMode

ENTER_PERCENT = {MemoryMode.CAUTIOUS: 78.0, MemoryMode.DEGRADED: 88.0}
# At 512 MB this leaves 25 MB: a worker that has unloaded its services can still answer /health.
EXHAUSTED_PERCENT = 95.0
HYSTERESIS_PERCENT = 5.0


def next_mode(current: MemoryMode, percent: float) -> MemoryMode:
    """Return the mode that follows `current` at this share of the limit, 0 to 100 and beyond."""
    following = MemoryMode.NORMAL
    for mode, threshold in ENTER_PERCENT.items():
        is_held = severity(current) >= severity(mode)
        if percent >= threshold - (HYSTERESIS_PERCENT if is_held else 0):
            following = mode
    return following


def is_exhausted(was_exhausted: bool, percent: float) -> bool:
    """Tell whether so little is left that chats are refused and services unloaded."""
    return percent >= EXHAUSTED_PERCENT - (HYSTERESIS_PERCENT if was_exhausted else 0)


def severity(mode: MemoryMode) -> int:
    """Rank the modes: NORMAL is 0."""
    return list(MemoryMode).index(mode)
