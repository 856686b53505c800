"""`GET /documents` and `GET /documents/<path>`: what is indexed, and one document's text with its passages.

A program gets JSON. A browser gets pages: the list, a search by words, and one document.
"""

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from src.errors import RequestError
from src.web.chat_run import admitted
from src.web.document_view import cut_into_pieces, excerpt, parse_mark
from src.web.pages import page_response, prefers_html
from src.web.request_parsing import parse_page, parse_search_arguments
from src.web.responses import passage_json
from src.web.services import get_services

document_routes = Blueprint("documents", __name__)


@document_routes.after_request
def vary_by_accept(response: Response) -> Response:
    """Keep caches from giving a page to a program or JSON to a person."""
    response.vary.add("Accept")
    return response


@document_routes.get("/documents")
def list_documents() -> ResponseReturnValue:
    """List the indexed documents by path; on the page, `q` searches their passages."""
    if prefers_html() and request.args.get("q", "").strip():
        return _search_page()
    limit, offset = parse_page(request.args, default_limit=50)
    entries, total = get_services().get_index().texts.list_documents(limit, offset)
    if prefers_html():
        return page_response("documents.html", entries=entries, total=total, limit=limit, offset=offset, query="")
    documents = [
        {"document": entry.path, "title": entry.title, "passages": entry.chunks, "characters": entry.characters}
        for entry in entries
    ]
    return jsonify(documents=documents, total=total, limit=limit, offset=offset)


@document_routes.get("/documents/<path:path>")
def show_document(path: str) -> ResponseReturnValue:
    """Give one document's text and where the index cut it; on the page, what `start` and `end` name is marked."""
    store = get_services().get_index().texts
    document = store.get_document(path)
    if document is None:
        raise RequestError(f"No document {path!r} is indexed; GET /documents lists them.", status=404, code="not_found")
    passages = store.get_chunks_of(path)
    if prefers_html():
        mark = parse_mark(request.args, document.text, passages)
        pieces = cut_into_pieces(document.text, passages, mark)
        return page_response("document.html", document=document, pieces=pieces, passages=passages, mark=mark)
    return jsonify(
        document=document.path,
        title=document.title,
        text=document.text,
        passages=[passage_json(chunk) for chunk in passages],
    )


def _search_page() -> Response:
    search = parse_search_arguments(request.args)
    services = get_services()
    with admitted(services, words_only=True):
        found = services.get_index().search(search.query, limit=search.limit, offset=search.offset, kind="lexical")
    return page_response(
        "documents.html",
        hits=[(hit.chunk, excerpt(hit.chunk.text)) for hit in found.hits],
        total=found.total,
        limit=search.limit,
        offset=search.offset,
        query=search.query,
    )
