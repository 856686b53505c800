"""`/openapi.json`, and `/docs`, where Swagger UI shows it and sends requests.

Swagger UI's files come from the package flask-swagger-ui. It is not imported: only its files are served, when they are
asked for.
"""

import json
from functools import lru_cache
from importlib.metadata import version as version_of
from importlib.util import find_spec
from pathlib import Path

from flask import Blueprint, Response, abort, current_app
from flask.typing import ResponseReturnValue

from src.web.access import public
from src.web.pages import page_response, send_asset
from src.web.services import get_services

SWAGGER_FILES = ("swagger-ui-bundle.js", "swagger-ui.css")

api_docs_routes = Blueprint("api_docs", __name__)


@api_docs_routes.get("/docs")
@public
def api_page() -> ResponseReturnValue:
    """Serve the API's description as a page where each operation can be tried."""
    return page_response("docs.html", swagger_version=version_of("flask-swagger-ui"))


@api_docs_routes.get("/docs/<version>/<name>")
@public
def swagger_asset(version: str, name: str) -> Response:
    """Serve a file of Swagger UI."""
    package = find_spec("flask_swagger_ui")
    if name not in SWAGGER_FILES or package is None or package.origin is None:
        abort(404)
    folder = Path(package.origin).parent / "dist"
    return send_asset(folder, name, is_current=version == version_of("flask-swagger-ui"))


@api_docs_routes.get("/openapi.json")
@public
def openapi() -> ResponseReturnValue:
    """Serve the description of this API."""
    return Response(get_openapi_json(get_services().config.app_name), mimetype="application/json")


@lru_cache(maxsize=1)
def get_openapi_json(title: str) -> bytes:
    """Return the description as JSON under this title, read once."""
    # Imported here: a bare server that is never asked for this page does not pay for a YAML parser.
    import yaml

    text = (Path(current_app.root_path) / "web" / "openapi.yaml").read_text(encoding="utf-8")
    # libyaml's parser takes 50 ms for it, the one in Python 380 ms, which is 4 s of a tenth of a CPU.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    description = yaml.load(text, Loader=loader)  # noqa: S506
    description["info"]["title"] = title
    return json.dumps(description, ensure_ascii=False).encode()
