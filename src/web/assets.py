"""Scripts, styles and the icon under addresses that carry the hash of them all, so that a browser may keep them.

One hash for the whole folder, in the path rather than in a query: a module that imports `./api.js` gets the hashed
address without any build step.
"""

from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from flask import Response, send_from_directory, url_for

STATIC_DIR = Path(__file__).parent / "static"
ONE_YEAR_S = 31_536_000


@lru_cache(maxsize=1)
def get_assets_version() -> str:
    """Hash the names and contents of all files, once for the life of the process."""
    digest = sha256()
    for path in sorted(STATIC_DIR.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def asset_url(name: str) -> str:
    """Give the address of a file that changes with its content."""
    return url_for("pages.asset", version=get_assets_version(), name=name)


def send_asset(version: str, name: str) -> Response:
    """Send a file; one asked for under an older hash is sent too, but not to be kept."""
    is_current = version == get_assets_version()
    response = send_from_directory(STATIC_DIR, name, max_age=ONE_YEAR_S if is_current else 0)
    if is_current:
        response.cache_control.no_cache = None
        response.cache_control.public = True
        response.cache_control.immutable = True
    return response
