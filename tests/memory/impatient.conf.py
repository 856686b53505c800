"""The project's gunicorn.conf.py with a worker that need not be a minute old to be replaced for its memory."""

from pathlib import Path

from src.memory import worker_recycling

worker_recycling.MEMORY_REST_S = 0.2
exec(Path("gunicorn.conf.py").read_text())
