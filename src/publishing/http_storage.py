"""Reads files from a web server, from any byte on where the server can do that.

Messages hold neither what the server wrote nor what stands behind the `?` of an address, which may be a signature.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from src.errors import StorageError
from src.publishing.stream import BLOCK_BYTES, Stream

if TYPE_CHECKING:
    from requests import Response

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 10.0, 60.0
# As for the LLM: these pass.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})


class HttpStorage:
    """The folder of one address."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)

    def open(self, name: str, offset: int = 0) -> Stream:
        """Read the file of that name beside the address."""
        folder = self._parts.path.rpartition("/")[0]
        return open_url(self._parts._replace(path=f"{folder}/{name}").geturl(), offset)


def open_url(url: str, offset: int) -> Stream:
    """Ask for an address from an offset on.

    Raises:
        StorageError: it cannot be read; the blocks raise it too.
    """
    import requests

    shown = url.partition("?")[0]
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
    with _translated(shown):
        response = requests.get(url, headers=headers, stream=True, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S))
    hops = [hop.url for hop in (*response.history, response)]
    status = response.status_code
    if status == 416 and offset:
        response.close()
        return Stream(offset, offset, iter(()))  # all of it is here
    if status not in (200, 206):
        response.close()
        raise StorageError(f"{shown} cannot be read: the server answers {status}.", may_pass=status in _PASSING)
    if url.startswith("https:") and not all(hop.startswith("https:") for hop in hops):
        response.close()
        raise StorageError(f"{shown} leads to an address without https. Set INDEX_URL to one that does not.")
    # Some servers that speak S3 send a part with status 200.
    start = offset if response.headers.get("Content-Range", "").startswith(f"bytes {offset}-") else 0
    length = response.headers.get("Content-Length", "")
    return Stream(start, start + int(length) if length.isdigit() else None, _read(response, shown))


def _read(response: Response, shown: str) -> Iterator[bytes]:
    with _translated(shown), response:
        yield from response.raw.stream(BLOCK_BYTES, decode_content=False)


@contextmanager
def _translated(shown: str) -> Iterator[None]:
    """Raise the errors of requests and urllib3 as ours, without their text, which holds the whole address."""
    from requests.exceptions import ConnectionError, RequestException, SSLError, Timeout
    from urllib3.exceptions import HTTPError, ProxySchemeUnsupported

    try:
        yield
    except (RequestException, HTTPError, ProxySchemeUnsupported) as exc:
        may_pass = isinstance(exc, ConnectionError | Timeout | HTTPError) and not isinstance(exc, SSLError)
        what = f"{shown} cannot be read to its end" if isinstance(exc, HTTPError) else f"{shown} cannot be reached"
        raise StorageError(f"{what} ({type(exc).__name__}).", may_pass=may_pass) from exc
