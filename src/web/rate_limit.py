"""Limits how often one address may call: counted on this host, or where `RATE_LIMIT_STORAGE_URI` says."""

import logging
import time
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from src.config import Config
from src.errors import ConfigError, RequestError
from src.web.call_counts import CallCounts, network_of

ON_THIS_HOST = "memory://"
# A store that has failed is asked again after this long.
REST_S = 30.0
_PERIODS_S = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_REDIS_TIMEOUTS = {"socket_timeout": 1, "socket_connect_timeout": 1}

logger = logging.getLogger(__name__)


def limit_calls(config: Config) -> Callable[[str], None]:
    """Return what counts a call of an address, and raises a 429 when there were too many.

    Raises:
        ConfigError: the store cannot be used.
    """
    number, _, period = config.rate_limit.partition(" per ")
    period_s = _PERIODS_S[period]
    take = CallCounts(int(number), period_s).take
    if config.rate_limit_storage_uri != ON_THIS_HOST:
        take = _RemoteCounts(config, fall_back=take).take

    def count_call(address: str) -> None:
        if not take(address):
            message = f"More than {config.rate_limit} from your address. Wait and try again."
            raise RequestError(message, status=429, code="rate_limited", retry_after_s=period_s)

    return count_call


class _RemoteCounts:
    """Counts in a store that several hosts share, and here while it cannot be reached."""

    def __init__(self, config: Config, *, fall_back: Callable[[str], bool]) -> None:
        self._config = config
        self._fall_back = fall_back
        self._rests_until = 0.0
        # A connection is not shared with the workers, which are forked later.
        self._get_limiter = cache(self._connect)
        scheme = urlsplit(config.rate_limit_storage_uri).scheme
        if not self._connect()[0].storage.check():
            raise ConfigError(
                f"RATE_LIMIT_STORAGE_URI: the {scheme} server cannot be reached. Start it, or unset this."
            )

    def take(self, address: str) -> bool:
        """Count a call there, or here."""
        from limits.errors import StorageError

        if time.monotonic() < self._rests_until:
            return self._fall_back(address)
        try:
            limiter, limit = self._get_limiter()
            is_counted = bool(limiter.hit(limit, network_of(address).hex()))
        except StorageError as exc:
            if not self._rests_until:
                logger.warning("Calls are counted on this host: the store of the counts fails (%s)", type(exc).__name__)
            self._rests_until = time.monotonic() + REST_S
            return self._fall_back(address)
        if self._rests_until:
            logger.info("Calls are counted in the store again")
            self._rests_until = 0.0
        return is_counted

    def _connect(self) -> tuple[Any, Any]:
        from limits import parse
        from limits.errors import ConfigurationError
        from limits.storage import storage_from_string
        from limits.strategies import SlidingWindowCounterRateLimiter

        uri = self._config.rate_limit_storage_uri
        scheme = urlsplit(uri).scheme
        options: dict[str, Any] = _REDIS_TIMEOUTS if scheme.startswith(("redis", "valkey")) else {}
        try:
            storage = storage_from_string(uri, wrap_exceptions=True, **options)
            limiter = SlidingWindowCounterRateLimiter(storage)
        except (ConfigurationError, NotImplementedError, ValueError) as exc:
            message = f"RATE_LIMIT_STORAGE_URI with {scheme or 'no scheme'} cannot be used ({type(exc).__name__})."
            raise ConfigError(f"{message} Install that store's client, such as redis, or unset this.") from exc
        return limiter, parse(self._config.rate_limit)
