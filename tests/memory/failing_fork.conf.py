"""The project's gunicorn.conf.py, and a system that refuses to fork while the file `no_fork` is in TOY_DIR."""

import errno
import os
from pathlib import Path

exec(Path("gunicorn.conf.py").read_text())
fork = os.fork


def fork_within_limits() -> int:
    if (Path(os.environ["TOY_DIR"]) / "no_fork").exists():
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
    return fork()


os.fork = fork_within_limits
