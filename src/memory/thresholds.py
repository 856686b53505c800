"""The one table of memory thresholds; `memory_manager.py` acts on them."""

from src.records import MemoryMode

# Shares of the memory limit. At 512 MB the last leaves 25 MB: a worker without its services can still answer /health.
CAUTIOUS_PERCENT = 78.0
DEGRADED_PERCENT = 88.0
EXHAUSTED_PERCENT = 95.0
# A search by words takes 1 to 2 MB. At 512 MB this leaves 10; without the services nothing but other programs is there.
REFUSED_PERCENT = 98.0
PRESSURE_PERCENT = (CAUTIOUS_PERCENT, DEGRADED_PERCENT, EXHAUSTED_PERCENT)
HYSTERESIS_PERCENT = 5.0
# Below this limit the model and the vectors are not loaded. Measured with library files that nobody else on the machine
# has in memory: at 144 MB the default index serves in CAUTIOUS; at 112 MB the load itself takes 7 s and leads to
# DEGRADED; at 96 MB chats get no answer within 15 s, because the kernel reads the libraries again and again.
LEAST_MODEL_MB = 144.0
# What each further worker adds with the default index: 57 to 58 MB. With 10,000 chunks it is 79.
FURTHER_WORKER_MB = 60.0
# With sentence-transformers in place of onnxruntime: the plain way of `python -m benchmarks plain` holds 563 MB after
# the first answer, and 580 with 30 at once.
LEAST_TORCH_MB = 640.0
HYSTERESIS_MB = 100.0

# The levels of PRESSURE_PERCENT: how many of its thresholds are passed.
NORMAL, CAUTIOUS, DEGRADED, EXHAUSTED = range(4)
MODES = (MemoryMode.NORMAL, MemoryMode.CAUTIOUS, MemoryMode.DEGRADED, MemoryMode.DEGRADED)


def needed_mb(workers: int) -> float:
    """Return the lowest memory limit with which this number of workers load the model."""
    return LEAST_MODEL_MB + (workers - 1) * FURTHER_WORKER_MB


def workers_with_room(wanted: int, limit_mb: float) -> int:
    """Return how many of the wanted workers have room within a limit, at least one."""
    return next((number for number in range(wanted, 1, -1) if needed_mb(number) <= limit_mb), 1)
