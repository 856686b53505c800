"""This server beside the plain way (`plain_way/app.py`), with the same questions in the same run."""

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.cgroup_box import box_if
from benchmarks.startup import measure_startup
from benchmarks.synthetic_index import CACHE
from benchmarks.tables import Record
from src.config import Config

FOLDER = Path(__file__).parent / "plain_way"
COMMAND = (sys.executable, "-m", "gunicorn", "--threads", "8", "--timeout", "300", "app:app")


def measure_plain(*, is_boxed: bool) -> list[Record]:
    """Measure ours, the plain way loaded with the first question, and loaded at start."""
    # Nothing is downloaded while measuring, and the libraries do not try to.
    environment = {"HF_HUB_OFFLINE": "1", "CHROMA_PATH": str(CACHE / "plain-chroma")}
    build = [sys.executable, "app.py", str(Config.from_env().documents_dir.absolute())]
    subprocess.run(build, cwd=FOLDER, env={**os.environ, **environment}, check=True, stdout=subprocess.DEVNULL)
    with box_if(is_boxed) as box:
        records = [measure_startup("rag512", box=box)]
    for when in ("lazily", "start"):
        with box_if(is_boxed) as box:
            plain = {**environment, "LOAD": when}
            records.append(measure_startup(f"plain, {when}", environment=plain, box=box, command=COMMAND, cwd=FOLDER))
    return [{key: record[key] for key in records[1]} for record in records]
