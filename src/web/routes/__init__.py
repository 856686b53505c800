"""One file for each group of routes; `register_routes` knows them all."""

from flask import Flask

from src.web.routes.api_docs import api_docs_routes
from src.web.routes.chat import chat_routes
from src.web.routes.documents import document_routes
from src.web.routes.pages import page_routes
from src.web.routes.search import search_routes
from src.web.routes.status import status_routes

ROUTES = (
    chat_routes,
    search_routes,
    document_routes,
    status_routes,
    page_routes,
    api_docs_routes,
)


def register_routes(app: Flask) -> None:
    """Add every route to the app."""
    for blueprint in ROUTES:
        app.register_blueprint(blueprint)
