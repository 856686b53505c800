"""Searches the vectors that a Chroma server holds, and copes with its absence."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING

from src.config import Config
from src.errors import VectorsUnavailable
from src.records import Filters
from src.retrieval.chroma_server import ChromaServer, NotFound, Refused, name_collection
from src.retrieval.ranking import ScoredId

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TIMEOUT_S = 3.0
# After a failure, which was two tries, a question every few seconds finds out whether the server is back.
PAUSE_S = 3.0
PUSH = "Run ./run.sh build push with the settings of this server."

logger = logging.getLogger(__name__)


class ServerVectors:
    """Searches a collection on a Chroma server; made without asking it, and asked again after a failure.

    Args:
        chunks: how many the manifest says there are.
    """

    def __init__(self, config: Config, fingerprint: str, chunks: int) -> None:
        self.problem: str | None = None
        # It would write a line for each try; `_ask` writes one for each change.
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
        self._server = ChromaServer(config, TIMEOUT_S, retries=1)
        self._name, self._chunks = name_collection(fingerprint), chunks
        self._collection: str | None = None
        self._tried_at = 0.0

    def search(self, embedding: NDArray[np.float32], limit: int, filters: Filters) -> list[ScoredId]:
        """Return up to `limit` chunks nearest to a unit-norm embedding, best first; the score is the cosine.

        Raises:
            VectorsUnavailable: the server cannot be asked, or does not hold this index; at once after a failure.
        """
        problem = self.problem
        if problem is None:
            return self._ask(embedding, limit, filters)
        if time.monotonic() - self._tried_at >= PAUSE_S:
            self._tried_at = time.monotonic()
            # A thread, so that nobody waits for a server that hangs. Without threads, the next question tries.
            with suppress(RuntimeError):
                Thread(target=self._try_again, args=(embedding,), name="vectors", daemon=True).start()
        raise VectorsUnavailable(problem)

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def _try_again(self, embedding: NDArray[np.float32]) -> None:
        with suppress(VectorsUnavailable):
            self._ask(embedding, 1, Filters())

    def _ask(self, embedding: NDArray[np.float32], limit: int, filters: Filters) -> list[ScoredId]:
        try:
            found = self._query(embedding, limit, filters)
        except VectorsUnavailable as exc:
            if self.problem != str(exc):
                logger.error("Answering by words only: %s", exc)
            if not isinstance(exc, Refused):  # the server is there for other requests
                self._tried_at, self.problem = time.monotonic(), str(exc)
            raise
        if self.problem is not None:
            logger.warning("The vectors answer again.")
            self.problem = None
        return found

    def _query(self, embedding: NDArray[np.float32], limit: int, filters: Filters) -> list[ScoredId]:
        collection = self._collection or self._find()
        try:
            return self._server.query(collection, embedding, limit, filters)
        except NotFound:  # it was removed, and may have been pushed again
            return self._server.query(self._find(), embedding, limit, filters)

    def _find(self) -> str:
        self._collection = None
        collection = self._server.find(self._name)
        if collection is None:
            raise VectorsUnavailable(f"The Chroma server at CHROMA_URL has no collection {self._name}. {PUSH}")
        count = self._server.count(collection)
        if count != self._chunks:
            message = (
                f"The collection {self._name} at CHROMA_URL holds {count} chunks, the manifest says {self._chunks}"
            )
            raise VectorsUnavailable(f"{message}. {PUSH}")
        self._collection = collection
        return collection
