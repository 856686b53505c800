"""The WSGI object that gunicorn serves."""

import sys

from src.app_factory import create_app
from src.errors import ConfigError

try:
    app = create_app()
except ConfigError as exc:
    sys.exit(f"The server cannot start: {exc}")
