"""What every page needs: its address for each asset, its response, and whether the caller wants a page at all.

Assets are scripts, styles and the icon. Their addresses carry one hash of the whole folder, so that a browser may keep
them. The hash is in the path, not in a query: a module that imports `./api.js` gets the hashed address, too.
"""

import json
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from flask import Response, make_response, render_template, request, send_from_directory, url_for

STATIC_DIR = Path(__file__).parent / "static"
TEXTS = Path(__file__).parent / "texts.json"
ONE_YEAR_S = 31_536_000


@lru_cache(maxsize=1)
def get_assets_version() -> str:
    """Hash the names and contents of all files, once for the life of the process."""
    digest = sha256()
    for path in sorted(STATIC_DIR.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


@lru_cache(maxsize=1)
def get_texts() -> dict[str, str]:
    """Return the words of the pages and their scripts by key, read once."""
    texts: dict[str, str] = json.loads(TEXTS.read_text(encoding="utf-8"))
    return texts


def asset_url(name: str) -> str:
    """Give the address of a file that changes with its content."""
    return url_for("pages.asset", version=get_assets_version(), name=name)


def send_asset(folder: Path, name: str, *, is_current: bool) -> Response:
    """Send a file of a folder; one that is asked for under an older version must not be kept."""
    response = send_from_directory(folder, name, max_age=ONE_YEAR_S if is_current else 0)
    response.cache_control.immutable = is_current
    return response


def page_response(template: str, **values: object) -> Response:
    """Render a page that depends on what is served now, so that it is not kept."""
    response = make_response(render_template(template, **values))
    response.headers["Cache-Control"] = "no-cache"
    response.vary.add("Accept")
    return response


def prefers_html() -> bool:
    """Tell whether the caller asks for HTML before JSON; `*/*`, as curl sends it, means JSON."""
    accepted = request.accept_mimetypes
    return accepted.quality("text/html") > accepted.quality("application/json")
