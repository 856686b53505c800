"""Finds where an HTTP/1.1 request ends in what has come so far, so that no thread waits for the rest of it.

It decides only when a thread takes the request. gunicorn's own parser then reads it and judges what is in it.
"""

import re

MAX_BODY_BYTES = 256 * 1024
# gunicorn refuses a longer head itself; it is given this much of one to see that.
MAX_HEAD_BYTES = 64 * 1024
# Of a chunk's size line, and of the trailers after the last chunk.
MAX_CHUNK_LINE_BYTES = 8190

_FRAMING = re.compile(rb"^(content-length|transfer-encoding)[ \t]*:[ \t]*([^\r\n]*?)[ \t]*\r$", re.I | re.M)
_EXPECT = re.compile(rb"^expect[ \t]*:[ \t]*100-continue[ \t]*\r\n", re.I | re.M)
_CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]{1,8}")


class BodyRefused(Exception):
    """The body is not waited for.

    Args:
        status, code: of the response.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class RequestFraming:
    """How far one request has come; no byte is searched twice.

    Where its end cannot be told (`is_malformed`), it is whole as it is: gunicorn's parser says why.
    """

    def __init__(self) -> None:
        self.has_head = self.is_malformed = False
        self._searched = 0
        self._body_start = 0
        # None: in chunks.
        self._body_bytes: int | None = 0

    def is_whole(self, received: bytearray) -> bool:
        """Tell whether all bytes of the request are there.

        Raises:
            BodyRefused: no more bytes need to be waited for.
        """
        if not self.has_head and not self._find_head(received):
            return False
        if self._body_bytes is None:
            return self._has_last_chunk(received)
        return len(received) - self._body_start >= self._body_bytes

    def take_expectation(self, received: bytearray) -> bool:
        """Tell whether the client waits for "100 Continue" before it sends the body, and remove that header."""
        head, found = _EXPECT.subn(b"", bytes(received[: self._body_start]))
        received[: self._body_start] = head
        self._body_start -= (removed := self._body_start - len(head))
        self._searched -= removed
        return found > 0

    def _find_head(self, received: bytearray) -> bool:
        end = received.find(b"\r\n\r\n", max(0, self._searched - 3))
        if end < 0:
            self._searched = len(received)
            self.is_malformed = len(received) > MAX_HEAD_BYTES
            return self.is_malformed
        self.has_head = True
        self._body_start = self._searched = end + 4
        headers = _FRAMING.findall(received[: end + 2])
        if not headers:
            return True
        (name, value), *more = headers
        is_chunked = name.lower() == b"transfer-encoding"
        is_known = value.lower() == b"chunked" if is_chunked else value.isdigit()
        if more or not is_known:
            self.is_malformed = True
        elif is_chunked:
            self._body_bytes = None
        elif len(value) > 18 or int(value) > MAX_BODY_BYTES:
            raise _too_large()
        else:
            self._body_bytes = int(value)
        return True

    def _has_last_chunk(self, received: bytearray) -> bool:
        """Step from one chunk to the next; `_searched` is where the next one's size line begins."""
        while (end := received.find(b"\r\n", self._searched)) >= 0:
            size = _CHUNK_SIZE.match(received, self._searched, end)
            if size is None:
                raise _malformed_chunk()
            if int(size.group(), 16) == 0:
                if received.find(b"\r\n\r\n", end, end + MAX_CHUNK_LINE_BYTES) >= 0:
                    return True
                if len(received) - end > MAX_CHUNK_LINE_BYTES:
                    raise _malformed_chunk()
                return False
            self._searched = end + 2 + int(size.group(), 16) + 2
            if self._searched - self._body_start > MAX_BODY_BYTES:
                raise _too_large()
        if len(received) - self._searched > MAX_CHUNK_LINE_BYTES:
            raise _malformed_chunk()
        return False


def _too_large() -> BodyRefused:
    return BodyRefused(413, "too_large", f"The body is larger than {MAX_BODY_BYTES // 1024} kB.")


def _malformed_chunk() -> BodyRefused:
    return BodyRefused(400, "invalid_request", "A chunk of the body is malformed.")
