"""`GET /documents` and `GET /documents/<path>`: what is indexed, and one document's text with its passages.

A program gets JSON. A browser gets pages: the list, a search by words, and one document.
"""

from flask import Blueprint, Response, jsonify, request, send_from_directory
from flask.typing import ResponseReturnValue

from src.errors import RequestError
from src.records import Chunk, is_plain
from src.retrieval.text_store import DocumentEntry, TextStore
from src.web.chat_run import admitted
from src.web.document_view import PAGE_CHARS, excerpt, parse_mark, render_part
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

    On the page, what `start` and `end` name is marked, and the part is shown in which it begins. `original` asks for
    the file itself, which lies in `DOCUMENTS_DIR` where that was deployed, too.
    """
    services = get_services()
    with admitted(services, words_only=True):
        store = services.get_index().texts
        entry = store.get_entry(path)
        if entry is None:
            message = f"No document {path!r} is indexed; GET /documents lists them."
            raise RequestError(message, status=404, code="not_found")
        folder = services.config.documents_dir.absolute()
        has_original = (folder / path).is_file()
        if has_original and "original" in request.args:
            return send_from_directory(folder, path, as_attachment=True)
        if prefers_html():
            return _document_page(store, entry, has_original=has_original)
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


def _document_page(store: TextStore, entry: DocumentEntry, *, has_original: bool) -> Response:
    def get_passage(number: int) -> Chunk | None:
        return next(iter(store.get_chunks([f"{entry.path}#{number}"])), None)

    mark = parse_mark(request.args, entry.characters, get_passage)
    place = mark[0] if mark else parse_offset(request.args)
    before = min(place, max(0, entry.characters - 1)) // PAGE_CHARS * PAGE_CHARS
    after = before + PAGE_CHARS
    passages = store.get_chunks_of(entry.path, before, after)
    # A part begins and ends with a passage, so that no list or block of code is cut. Around passages all is blank.
    start, end = (passages[0].start, passages[-1].end) if passages else (before, before)
    text, links = store.read_text(entry.path, start, end), store.get_links(entry.path, start, end)
    html = render_part(text, passages, links, mark, offset=start, is_plain=is_plain(entry.path))
    return page_response(
        "document.html",
        document=entry,
        html=html,
        mark=mark,
        has_original=has_original,
        before=before - PAGE_CHARS if before else None,
        after=after if after < entry.characters else None,
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
