"""`GET /documents` and `GET /documents/<path>`: what is indexed, and one document's text with its passages.

JSON for programs; a browser that asks for HTML gets the pages of `document_pages.py`.
"""

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from src.errors import RequestError
from src.web.negotiation import prefers_html
from src.web.request_parsing import parse_page
from src.web.responses import passage_json
from src.web.routes.document_pages import document_page, documents_page
from src.web.services import get_services

document_routes = Blueprint("documents", __name__)


@document_routes.after_request
def vary_by_accept(response: Response) -> Response:
    """Keep caches from giving a page to a program or JSON to a person."""
    response.vary.add("Accept")
    return response


@document_routes.get("/documents")
def list_documents() -> ResponseReturnValue:
    """List the indexed documents by path."""
    if prefers_html():
        return documents_page()
    limit, offset = parse_page(request.args, default_limit=50)
    entries, total = get_services().get_index().texts.list_documents(limit, offset)
    documents = [
        {"document": entry.path, "title": entry.title, "passages": entry.chunks, "characters": entry.characters}
        for entry in entries
    ]
    return jsonify(documents=documents, total=total, limit=limit, offset=offset)


@document_routes.get("/documents/<path:path>")
def show_document(path: str) -> ResponseReturnValue:
    """Give one document's text and where the index cut it."""
    store = get_services().get_index().texts
    document = store.get_document(path)
    if document is None:
        raise RequestError(f"No document {path!r} is indexed; GET /documents lists them.", status=404, code="not_found")
    if prefers_html():
        return document_page(document, store.get_chunks_of(path))
    return jsonify(
        document=document.path,
        title=document.title,
        text=document.text,
        passages=[passage_json(chunk) for chunk in store.get_chunks_of(path)],
    )
