"""A SQLite file that is only read: one connection for all threads, and its errors in our words.

`immutable` tells SQLite that nobody writes the file, so it takes no locks and works in a read-only directory.
"""

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from src.artifacts import REBUILD
from src.errors import IndexCorrupt, ServiceUnavailable

CACHE_KB = 1024  # the system's own page cache keeps the rest, and that is memory it can take back


class ReadOnlyDatabase:
    """Answers queries on a finished SQLite file, one at a time; safe to share between threads."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            IndexCorrupt: it is missing, damaged or not a SQLite file.
        """
        self._path = path
        self._lock = threading.Lock()
        try:
            self._connection = sqlite3.connect(
                f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1", uri=True, check_same_thread=False
            )
            self._connection.execute(f"PRAGMA cache_size = -{CACHE_KB}")
            self._connection.execute("SELECT count(*) FROM sqlite_master")
        except sqlite3.Error as exc:
            raise self._corrupt(exc) from exc

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one SELECT and return all its rows.

        Raises:
            IndexCorrupt: SQLite cannot read what the query needs.
            ServiceUnavailable: the file was closed meanwhile.
        """
        try:
            with self._lock:
                return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.ProgrammingError as exc:
            message = f"{self._path.name} was closed during the search ({exc}). Ask again."
            raise ServiceUnavailable(message, retry_after_s=1, code="index_closed") from exc
        except sqlite3.Error as exc:
            raise self._corrupt(exc) from exc

    def close(self) -> None:
        """Close the connection; closing again does nothing."""
        with self._lock:
            self._connection.close()

    def _corrupt(self, exc: sqlite3.Error) -> IndexCorrupt:
        return IndexCorrupt(f"{self._path} cannot be read ({exc}). {REBUILD}")
