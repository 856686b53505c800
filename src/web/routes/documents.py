"""`GET /documents` and `GET /documents/<path>`: what is indexed, and one document's text with its passages.

A program gets JSON. A browser gets pages: the list, a search by words, and one document.
"""

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from src.errors import RequestError
from src.records import Chunk
from src.retrieval.text_store import DocumentEntry, TextStore
from src.web.chat_run import admitted
from src.web.document_view import PAGE_CHARS, cut_into_pieces, excerpt, parse_mark
from src.web.pages import page_response, prefers_html
from src.web.request_parsing import parse_offset, parse_page, parse_search_arguments
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
    services = get_services()
    with admitted(services, words_only=True):
        entries, total = services.get_index().texts.list_documents(limit, offset)
    if prefers_html():
        return page_response("documents.html", entries=entries, total=total, limit=limit, offset=offset, query="")
    documents = [
        {"document": entry.path, "title": entry.title, "passages": entry.chunks, "characters": entry.characters}
        for entry in entries
    ]
    return jsonify(documents=documents, total=total, limit=limit, offset=offset)


@document_routes.get("/documents/<path:path>")
def show_document(path: str) -> ResponseReturnValue:
    """Give one document's text, in parts of `PAGE_CHARS`, and where the index cut it.

    On the page, what `start` and `end` name is marked, and the part is shown in which it begins.
    """
    services = get_services()
    with admitted(services, words_only=True):
        store = services.get_index().texts
        entry = store.get_entry(path)
        if entry is None:
            message = f"No document {path!r} is indexed; GET /documents lists them."
            raise RequestError(message, status=404, code="not_found")
        if prefers_html():
            return _document_page(store, entry)
        offset = parse_offset(request.args)
        text = store.read_text(path, offset, min(offset + PAGE_CHARS, entry.characters))
        return jsonify(
            document=path,
            title=entry.title,
            characters=entry.characters,
            offset=offset,
            text=text,
            passages=[passage_json(chunk) for chunk in store.get_chunks_of(path, offset, offset + PAGE_CHARS)],
        )


def _document_page(store: TextStore, entry: DocumentEntry) -> Response:
    def get_passage(number: int) -> Chunk | None:
        return next(iter(store.get_chunks([f"{entry.path}#{number}"])), None)

    mark = parse_mark(request.args, entry.characters, get_passage)
    place = mark[0] if mark else parse_offset(request.args)
    start = place // PAGE_CHARS * PAGE_CHARS
    end = min(start + PAGE_CHARS, entry.characters)
    passages = store.get_chunks_of(entry.path, start, end)
    first_number = int(passages[0].chunk_id.rpartition("#")[2]) + 1 if passages else 1
    text = store.read_text(entry.path, start, end)
    return page_response(
        "document.html",
        document=entry,
        pieces=cut_into_pieces(text, passages, mark, offset=start, first_number=first_number),
        mark=mark,
        before=start - PAGE_CHARS if start else None,
        after=end if end < entry.characters else None,
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
