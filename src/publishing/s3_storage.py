"""A store that speaks S3: Amazon's, Cloudflare R2, Backblaze B2, MinIO. The only file that imports obstore.

obstore reads the usual variables: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, and AWS_ENDPOINT_URL for a
store that is not Amazon's. A file is read over its signed address, so that one code resumes and retries.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from src.errors import StorageError
from src.publishing.http_storage import open_url
from src.publishing.stream import Stream

SIGNED_FOR = timedelta(hours=1)
RETRIES, RETRY_TIMEOUT = 3, timedelta(seconds=60)


class S3Storage:
    """A bucket, or a folder in it."""

    def __init__(self, bucket: str, folder: str) -> None:
        self._place = "/".join(filter(None, (f"s3://{bucket}", folder)))
        try:
            from obstore.store import S3Store
        except ModuleNotFoundError as exc:
            raise StorageError(f"{self._place} needs one more package: pip install -r requirements-s3.txt") from exc
        with self._translated():
            self._store = S3Store(
                bucket,
                prefix=folder or None,
                client_options={"allow_http": True},  # an endpoint of one's own may have no https
                retry_config={"max_retries": RETRIES, "retry_timeout": RETRY_TIMEOUT},
            )

    def open(self, name: str, offset: int = 0) -> Stream:
        """Read a file."""
        import obstore

        with self._translated():
            return open_url(obstore.sign(self._store, "GET", name, SIGNED_FOR), offset)

    def exists(self, name: str) -> bool:
        """Tell whether the file is there."""
        with self._translated():
            try:
                self._store.head(name)
            except FileNotFoundError:
                return False
        return True

    def write(self, name: str, file: Path) -> None:
        """Upload; the store shows a file when all of it has come."""
        with self._translated():
            self._store.put(name, file)

    def locate(self, name: str) -> str:
        """Return the address."""
        return f"{self._place}/{name}"

    @contextmanager
    def _translated(self) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, FileNotFoundError) as exc:
            reason = str(exc).partition("\n")[0]
            raise StorageError(f"{self._place} cannot be used: {reason}. Look at the AWS_* variables.") from exc
