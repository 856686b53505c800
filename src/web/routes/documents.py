"""`GET /documents` and `GET /documents/<path>`: what is indexed, and one document's text with its passages.

A program gets JSON. A browser gets pages: the list, a search by words, and one document.
"""

from flask import Blueprint, Response, jsonify, request, send_from_directory
from flask.typing import ResponseReturnValue

from src.errors import RequestError
from src.web.chat_run import admitted
from src.web.document_view import excerpt, parse_mark, render_document
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
    """Give one document's text and where the index cut it; on the page, what `start` and `end` name is marked.

    `original` asks for the file itself, which lies in `DOCUMENTS_DIR` where that was deployed, too.
    """
    store = get_services().get_index().texts
    document = store.get_document(path)
    if document is None:
        raise RequestError(f"No document {path!r} is indexed; GET /documents lists them.", status=404, code="not_found")
    folder = get_services().config.documents_dir.absolute()
    has_original = (folder / path).is_file()
    if has_original and "original" in request.args:
        return send_from_directory(folder, path, as_attachment=True)
    passages = store.get_chunks_of(path)
    if prefers_html():
        mark = parse_mark(request.args, document.text, passages)
        part = render_document(document, passages, mark)
        values = {"document": document, "passages": passages, "mark": mark, "part": part}
        return page_response("document.html", has_original=has_original, **values)
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
