"""The requests that are made of a Chroma server or of Chroma Cloud, over its HTTP API, and every way they can fail.

Chroma's own HTTP client is not used: it waits without end for a server that hangs, and it costs 25 MB and half a
CPU-second more than `requests`. A filled collection has the name of its index's fingerprint, so the servers of an old
and of a new index each find their own.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from src.config import Config
from src.errors import VectorsUnavailable
from src.records import Filters
from src.retrieval.chroma_client import GRAPH
from src.retrieval.ranking import ScoredId

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PREFIX = "rag512-"
# What Chroma Cloud takes in one write, and gives in one answer (docs.trychroma.com/cloud/quotas-limits, 2026-11-25).
ROWS_PER_WRITE = 300
MOST_RESULTS = 300
NAMES_PER_PAGE = 100
BUSY = (429, 500, 502, 503, 504)

T = TypeVar("T")


def name_collection(fingerprint: str) -> str:
    """Name the collection that holds the vectors of an index."""
    return PREFIX + fingerprint


class NotFound(VectorsUnavailable):
    """The server has no such collection."""


class Refused(VectorsUnavailable):
    """The server answers, but not this request."""


class ChromaServer:
    """Makes requests; safe for many threads. Whatever goes wrong is a `VectorsUnavailable`.

    Args:
        timeout_s: to connect, and between two pieces of an answer.
        retries: of a request that finds no server, a slow or a busy one; each waits twice as long as the one before.
    """

    def __init__(self, config: Config, timeout_s: float, retries: int) -> None:
        import requests
        from requests.adapters import HTTPAdapter
        from urllib3.util import Retry

        self._error = requests.RequestException
        self._timeout_s = timeout_s
        tenant, database = (quote(name, safe="") for name in (config.chroma_tenant, config.chroma_database))
        self._url = f"{config.chroma_url.rstrip('/')}/api/v2/tenants/{tenant}/databases/{database}/collections"
        self._session = requests.Session()
        if config.chroma_api_key:
            self._session.headers["X-Chroma-Token"] = config.chroma_api_key  # as `chromadb.CloudClient` sends it
        # Each write can be made twice: upsert, get or create, rename, delete.
        retry = Retry(
            retries,
            allowed_methods=None,
            status_forcelist=BUSY,
            backoff_factor=0.5,
            raise_on_status=False,
            respect_retry_after_header=False,
        )
        adapter = HTTPAdapter(pool_maxsize=config.max_concurrent_chats, max_retries=retry)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)

    def find(self, name: str) -> str | None:
        """Return a collection's id; None: there is none of this name."""
        try:
            return self._call("GET", f"/{name}", None, lambda found: str(found["id"]))
        except NotFound:
            return None

    def create(self, name: str) -> str:
        """Return the id of a collection of this name, which may be new; Chroma Cloud has a graph of its own kind."""
        body = {"name": name, "get_or_create": True, "configuration": {"hnsw": GRAPH}}
        return self._call("POST", "", body, lambda made: str(made["id"]))

    def rename(self, collection: str, name: str) -> None:
        """Give a collection another name."""
        self._call("PUT", f"/{collection}", {"new_name": name}, bool)

    def discard(self, name: str) -> None:
        """Remove the collection of this name, if there is one."""
        with suppress(NotFound):
            self._call("DELETE", f"/{name}", None, bool)

    def iter_names(self) -> Iterator[str]:
        """List the names of all collections of the database."""
        for offset in range(0, 2**31, NAMES_PER_PAGE):
            path = f"?limit={NAMES_PER_PAGE}&offset={offset}"
            names = self._call("GET", path, None, lambda page: [str(collection["name"]) for collection in page])
            yield from names
            if len(names) < NAMES_PER_PAGE:
                return

    def count(self, collection: str) -> int:
        """Return how many chunks a collection holds."""
        return self._call("GET", f"/{collection}/count", None, int)

    def upsert(
        self, collection: str, chunk_ids: Sequence[str], documents: Sequence[str], embeddings: NDArray[np.float32]
    ) -> None:
        """Write up to ROWS_PER_WRITE chunks; those that are there are written again."""
        rows = [base64.b64encode(row.astype("<f4").tobytes()).decode() for row in embeddings]
        metadatas = [{"document": document} for document in documents]
        body = {"ids": chunk_ids, "embeddings": rows, "metadatas": metadatas}
        self._call("POST", f"/{collection}/upsert", body, bool)

    def query(self, collection: str, embedding: NDArray[np.float32], limit: int, filters: Filters) -> list[ScoredId]:
        """Return the nearest chunks, best first; the score is the cosine."""
        body: dict[str, Any] = {
            "query_embeddings": [embedding.tolist()],
            "n_results": min(limit, MOST_RESULTS),
            "include": ["distances"],
        }
        if filters.documents:
            body["where"] = {"document": {"$in": filters.documents}}
        return self._call("POST", f"/{collection}/query", body, _read_hits)

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def _call(self, method: str, path: str, body: Any, read: Callable[[Any], T]) -> T:
        # Messages name the setting, not the address: /ready shows them to everybody.
        try:
            response = self._session.request(
                method, self._url + path, json=body, timeout=self._timeout_s, allow_redirects=False
            )
            if response.status_code // 100 == 2:
                return read(response.json())
        except (self._error, LookupError, TypeError, ValueError) as exc:
            message = f"The Chroma server at CHROMA_URL does not answer ({type(exc).__name__}). Start it"
            raise VectorsUnavailable(f"{message}, or unset CHROMA_URL to use the vectors in INDEX_DIR.") from exc
        raise _failure(response.status_code, response.text)


def _read_hits(found: Any) -> list[ScoredId]:
    pairs = zip(found["ids"][0], found["distances"][0], strict=True)
    return [ScoredId(str(chunk_id), 1.0 - distance) for chunk_id, distance in pairs]


def _failure(status: int, text: str) -> VectorsUnavailable:
    server = "The Chroma server at CHROMA_URL"
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        cure = "Set CHROMA_API_KEY, and the CHROMA_TENANT and CHROMA_DATABASE that the key is for."
        return VectorsUnavailable(f"{server} refuses the key (HTTP {status}). {cure}")
    if status == HTTPStatus.NOT_FOUND:
        return NotFound(f"{server} has no such collection, tenant or database (HTTP 404).")
    if status in BUSY or status >= 500:
        return VectorsUnavailable(f"{server} is busy or broken (HTTP {status}). Look at its log.")
    cure = "Look at CHROMA_URL, CHROMA_TENANT and CHROMA_DATABASE."
    return Refused(f"{server} refuses a request (HTTP {status}: {text[:300]}). {cure}")
