"""Turns records into the JSON of the HTTP contract."""

from typing import Any
from urllib.parse import quote

from src.records import Answer, Chunk, Citation, Hit, Retrieval


def answer_json(answer: Answer, request_id: str) -> dict[str, Any]:
    """Give the body of `POST /chat`."""
    return {
        "answer": answer.text,
        "grounded": answer.grounded,
        "answered_by": answer.answered_by,
        "model": answer.model,
        "citations": [citation_json(citation) for citation in answer.citations],
        "sources": sources_json(answer.retrieval),
        "retrieval": answer.retrieval.kind,
        "mode": answer.mode.value,
        "timings_ms": {
            "embed": round(answer.retrieval.embed_ms, 1),
            "retrieve": round(answer.retrieval.retrieve_ms, 1),
            "generate": round(answer.generate_ms, 1),
            "total": round(answer.total_ms, 1),
        },
        "notice": answer.notice,
        "request_id": request_id,
    }


def citation_json(citation: Citation) -> dict[str, Any]:
    """Give a citation with the address at which it can be seen in its place."""
    return {
        "marker": citation.marker,
        "document": citation.document,
        "title": citation.title,
        "section": citation.section,
        "page": citation.page,
        "excerpt": citation.excerpt,
        "start": citation.start,
        "end": citation.end,
        "highlights": [list(span) for span in citation.highlights],
        "url": f"/documents/{quote(citation.document)}?start={citation.start}&end={citation.end}",
    }


def sources_json(retrieval: Retrieval, offset: int = 0) -> list[dict[str, Any]]:
    """Give the retrieved passages; ranks count from 1 over all pages of the list."""
    return [_source_json(hit, offset + place) for place, hit in enumerate(retrieval.hits, start=1)]


def _source_json(hit: Hit, rank: int) -> dict[str, Any]:
    chunk = hit.chunk
    return {
        "rank": rank,
        "chunk_id": chunk.chunk_id,
        "document": chunk.document,
        "title": chunk.title,
        "section": chunk.section,
        "page": chunk.page,
        "text": chunk.text,
        "score": round(hit.score, 6),
    }


def passage_json(chunk: Chunk) -> dict[str, Any]:
    """Give a passage as the index cut it, without its text, which the document holds."""
    return {
        "chunk_id": chunk.chunk_id,
        "section": chunk.section,
        "page": chunk.page,
        "start": chunk.start,
        "end": chunk.end,
    }
