"""The server with many chunks, in the free tier's box: the index is synthetic, the rest is as in `startup.py`."""

from benchmarks.cgroup_box import box_if
from benchmarks.startup import measure_startup
from benchmarks.synthetic_index import get_synthetic_index
from benchmarks.tables import Record
from src.config import Config


def measure_scale(sizes: list[int], *, is_boxed: bool) -> list[Record]:
    """Measure the server with each number of chunks, in the free tier's box if asked."""
    records = []
    for size in sizes:
        environment = {"INDEX_DIR": str(get_synthetic_index(size, Config.from_env().index_dir))}
        with box_if(is_boxed) as box:
            records.append(measure_startup(f"{size} chunks", environment=environment, box=box))
    return records
