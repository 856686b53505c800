"""The project's gunicorn.conf.py with a store of the counts that is asked again a moment after it has failed."""

from pathlib import Path

from src.web import rate_limit

rate_limit.REST_S = 0.5
exec(Path("gunicorn.conf.py").read_text())
