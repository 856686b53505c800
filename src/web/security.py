"""Who may call what, how often, and the headers every response carries."""

import hmac
import re
import uuid
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.middleware.proxy_fix import ProxyFix

from src.config import Config
from src.errors import RequestError

KEYED_PATHS = ("/chat", "/search", "/documents", "/suggestions", "/v1/")
RATE_LIMITED_PATHS = ("/chat", "/search", "/v1/chat/")

_PLAIN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def register_security(app: Flask, config: Config) -> None:
    """Install the checks before, and the headers after, every request."""
    if config.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=config.trusted_proxies)  # type: ignore[method-assign]
    rate_limit = None if config.rate_limit == "off" else _rate_limiter(config)

    @app.before_request
    def check() -> Response | None:
        given = request.headers.get("X-Request-ID", "")
        g.request_id = given if _PLAIN_ID.fullmatch(given) else uuid.uuid4().hex
        if request.method == "OPTIONS":
            return None
        if config.api_key and request.path.startswith(KEYED_PATHS):
            require_token(config.api_key)
        if rate_limit and request.path.startswith(RATE_LIMITED_PATHS):
            rate_limit(request.remote_addr or "")
        return None

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers["X-Request-ID"] = g.get("request_id", "")
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        origin = request.headers.get("Origin", "")
        if origin in config.cors_origins:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, X-Request-ID"
            response.headers["Access-Control-Expose-Headers"] = "X-Request-ID, Retry-After"
            response.vary.add("Origin")
        return response


def require_token(expected: str) -> None:
    """Compare the bearer token in constant time.

    Raises:
        RequestError: 401, the token is missing or another one.
    """
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), expected.encode()):
        message = "Send the key as 'Authorization: Bearer <key>'."
        raise RequestError(message, status=401, code="unauthorized")


def _rate_limiter(config: Config) -> Callable[[str], None]:
    get_limiter = lru_cache(maxsize=1)(lambda: _build_limiter(config))

    def take_hit(client: str) -> None:
        limiter, limit = get_limiter()
        if not limiter.hit(limit, client):
            retry_after_s = limit.get_expiry()
            message = f"More than {config.rate_limit} from your address. Wait and try again."
            raise RequestError(message, status=429, code="rate_limited", retry_after_s=retry_after_s)

    return take_hit


def _build_limiter(config: Config) -> tuple[Any, Any]:
    from limits import parse
    from limits.storage import storage_from_string
    from limits.strategies import MovingWindowRateLimiter

    return MovingWindowRateLimiter(storage_from_string(config.rate_limit_storage_uri)), parse(config.rate_limit)
