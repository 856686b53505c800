"""Who may call a route and how often, and the headers that every response carries.

A route asks for `API_KEY` and is counted by `RATE_LIMIT`. A view that is different says so with `@public` or
`@admin_only` where it is declared.
"""

import hmac
import uuid
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Any, TypeVar

from flask import Flask, Response, g, request
from werkzeug.middleware.proxy_fix import ProxyFix

from src.config import Config
from src.errors import RequestError
from src.web.rate_limit import limit_calls
from src.web.request_parsing import PLAIN_ID

View = TypeVar("View", bound=Callable[..., Any])

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Access(Enum):
    """Who may call a route."""

    KEYED = auto()
    ADMIN = auto()
    PUBLIC = auto()


def public(view: View) -> View:
    """Let everybody call this route, as often as they like."""
    view.access = Access.PUBLIC  # type: ignore[attr-defined]
    return view


def admin_only(view: View) -> View:
    """Ask for `ADMIN_TOKEN` at this route; it is off where none is set."""
    view.access = Access.ADMIN  # type: ignore[attr-defined]
    return view


def access_of(view: Callable[..., Any]) -> Access:
    """Return what a view was declared with."""
    access = getattr(view, "access", Access.KEYED)
    assert isinstance(access, Access)
    return access


def register_access(app: Flask, config: Config) -> None:
    """Install the checks before, and the headers after, every request."""
    if config.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=config.trusted_proxies)  # type: ignore[method-assign]
    count_call = None if config.rate_limit == "off" else limit_calls(config)

    @app.before_request
    def check() -> None:
        given = request.headers.get("X-Request-ID", "")
        g.request_id = given if PLAIN_ID.fullmatch(given) else uuid.uuid4().hex
        if request.method == "OPTIONS" or request.endpoint is None:
            return
        access = access_of(app.view_functions[request.endpoint])
        if access is Access.PUBLIC:
            return
        # Counted before the key is looked at, so that keys cannot be guessed any faster than that.
        if count_call:
            count_call(request.remote_addr or "")
        _require_token(config, access)

    @app.after_request
    def add_headers(response: Response) -> Response:
        # For the access log, which gunicorn writes: as the route is declared, since a path may hold words.
        request.environ["rag512.route"] = request.url_rule.rule if request.url_rule else "-"
        response.headers["X-Request-ID"] = g.get("request_id", "")
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        origin = request.headers.get("Origin", "")
        if origin and (origin in config.cors_origins or "*" in config.cors_origins):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, X-Request-ID"
            response.headers["Access-Control-Expose-Headers"] = "X-Request-ID, Retry-After"
            response.vary.add("Origin")
        return response


def _require_token(config: Config, access: Access) -> None:
    if access is Access.ADMIN and not config.admin_token:
        message = "This is off. Set ADMIN_TOKEN on the server and send it as a bearer token."
        raise RequestError(message, status=403, code="forbidden")
    expected = (config.admin_token,) if access is Access.ADMIN else config.api_key
    if expected and not _sends_one_of(expected):
        message = "Send the key as 'Authorization: Bearer <key>'."
        raise RequestError(message, status=401, code="unauthorized")


def _sends_one_of(expected: Sequence[str]) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    # Every key is compared, each in constant time, so that the time tells nothing about them.
    matches = [hmac.compare_digest(given.strip().encode(), key.encode()) for key in expected]
    return scheme.lower() == "bearer" and any(matches)
