"""The pages behind `GET /documents` for a person's browser: list, search, read."""

from flask import Response, request

from src.records import Chunk, Document
from src.web.document_view import cut_into_pieces, excerpt, parse_mark
from src.web.negotiation import page_response
from src.web.request_parsing import parse_page, parse_search_arguments
from src.web.services import get_services


def documents_page() -> Response:
    """List the documents, or the passages that hold the words of `q`; nothing heavy is loaded for it."""
    if request.args.get("q", "").strip():
        return _search_page()
    limit, offset = parse_page(request.args, default_limit=50)
    entries, total = get_services().get_index().texts.list_documents(limit, offset)
    return page_response("documents.html", entries=entries, total=total, limit=limit, offset=offset, query="")


def document_page(document: Document, passages: list[Chunk]) -> Response:
    """Show a document as the index cut it, with what `start` and `end` name marked."""
    mark = parse_mark(request.args, document.text, passages)
    pieces = cut_into_pieces(document.text, passages, mark)
    return page_response("document.html", document=document, pieces=pieces, passages=passages, mark=mark)


def _search_page() -> Response:
    search = parse_search_arguments(request.args)
    found = get_services().get_index().search(search.query, limit=search.limit, offset=search.offset, kind="lexical")
    return page_response(
        "documents.html",
        hits=[(hit.chunk, excerpt(hit.chunk.text)) for hit in found.hits],
        total=found.total,
        limit=search.limit,
        offset=search.offset,
        query=search.query,
    )
