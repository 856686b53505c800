"""`POST /search` and `GET /search`: the passages alone, paged."""

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from src.web.chat_run import admitted
from src.web.request_parsing import SearchRequest, parse_search_arguments, parse_search_body
from src.web.responses import sources_json
from src.web.services import get_services

search_routes = Blueprint("search", __name__)


@search_routes.post("/search")
def search_by_body() -> ResponseReturnValue:
    """Search with a JSON body."""
    return _search(parse_search_body(request))


@search_routes.get("/search")
def search_by_arguments() -> ResponseReturnValue:
    """Search with a query string."""
    return _search(parse_search_arguments(request.args))


def _search(search: SearchRequest) -> ResponseReturnValue:
    services = get_services()
    with admitted(services) as mode:
        retrieval = services.get_index().search(
            search.query,
            limit=search.limit,
            offset=search.offset,
            filters=search.filters,
            kind=mode.search_kind,
        )
    return jsonify(
        query=search.query,
        results=sources_json(retrieval, search.offset),
        retrieval=retrieval.kind,
        total=retrieval.total,
        limit=search.limit,
        offset=search.offset,
    )
