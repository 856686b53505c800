"""The pages for people, and what they are made of. Opening the chat page starts the load of the services."""

import json

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from src.errors import ArtifactError
from src.memory.memory_mode import ENTER_PERCENT
from src.records import MemoryMode
from src.web.api_page import Site, describe_api
from src.web.assets import asset_url, send_asset
from src.web.negotiation import page_response, render_error_for_people
from src.web.routes.status import get_openapi_json
from src.web.services import get_services
from src.web.suggestions import suggest_questions

page_routes = Blueprint("pages", __name__)
page_routes.add_app_template_global(asset_url, "asset")
page_routes.after_app_request(render_error_for_people)


@page_routes.get("/")
def chat_page() -> ResponseReturnValue:
    """Serve the page and start the load in the background, so that the first question finds it done."""
    get_services().readiness.start()
    return page_response("chat.html")


@page_routes.get("/suggestions")
def suggestions() -> ResponseReturnValue:
    """Give questions to start with; none where there is no index."""
    try:
        questions = suggest_questions(get_services().get_index().texts)
    except ArtifactError:
        questions = []
    return jsonify(suggestions=questions)


@page_routes.get("/memory")
def memory_page() -> ResponseReturnValue:
    """Serve the live memory page, which asks `/memory/stats`."""
    bands = {"cautious": ENTER_PERCENT[MemoryMode.CAUTIOUS], "degraded": ENTER_PERCENT[MemoryMode.DEGRADED]}
    return page_response("memory.html", bands=bands)


@page_routes.get("/docs")
def api_page() -> ResponseReturnValue:
    """Serve the API's description as a page with curl lines that run as they stand."""
    description = json.loads(get_openapi_json())
    has_key = bool(get_services().config.api_key)
    groups = describe_api(description, Site(request.url_root.rstrip("/"), _examples(), has_key))
    return page_response("docs.html", info=description["info"], groups=groups, has_key=has_key)


def _examples() -> dict[str, str]:
    try:
        entries, _ = get_services().get_index().texts.list_documents(1, 0)
    except ArtifactError:
        return {}
    return {"path": entries[0].path} if entries else {}


@page_routes.get("/assets/<version>/<name>")
def asset(version: str, name: str) -> Response:
    """Serve a script, a style or the icon."""
    return send_asset(version, name)
