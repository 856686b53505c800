"""The pages for people, and what they are made of. Opening the chat page starts the load of the services."""

from flask import Blueprint, Response, jsonify
from flask.typing import ResponseReturnValue

from src.errors import ArtifactError
from src.memory.thresholds import CAUTIOUS_PERCENT, DEGRADED_PERCENT
from src.web.access import public
from src.web.pages import STATIC_DIR, asset_url, get_assets_version, get_texts, page_response, send_asset
from src.web.services import get_services
from src.web.suggestions import suggest_questions

page_routes = Blueprint("pages", __name__)
page_routes.add_app_template_global(asset_url, "asset")


@page_routes.app_context_processor
def name_and_texts() -> dict[str, object]:
    """Give every template the name that its head shows, and the words."""
    return {"app_name": get_services().config.app_name, "texts": get_texts()}


@page_routes.get("/")
@public
def chat_page() -> ResponseReturnValue:
    """Serve the page and start the load in the background, so that the first question finds it done."""
    services = get_services()
    services.readiness.start()
    return page_response("chat.html", feedback=services.config.feedback)


@page_routes.get("/suggestions")
def suggestions() -> ResponseReturnValue:
    """Give questions to start with; none where there is no index."""
    services = get_services()
    try:
        questions = suggest_questions(services.get_index().texts, services.config.index_dir)
    except ArtifactError:
        questions = []
    return jsonify(suggestions=questions)


@page_routes.get("/memory")
@public
def memory_page() -> ResponseReturnValue:
    """Serve the live memory page, which asks `/memory/stats`."""
    bands = {"cautious": CAUTIOUS_PERCENT, "degraded": DEGRADED_PERCENT}
    return page_response("memory.html", bands=bands)


@page_routes.get("/assets/<version>/<name>")
@public
def asset(version: str, name: str) -> Response:
    """Serve a script, a style or the icon."""
    return send_asset(STATIC_DIR, name, is_current=version == get_assets_version())
