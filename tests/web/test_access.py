"""Who may call a route, how often, and what every response carries."""

import re
from dataclasses import replace
from typing import Any

import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient

from src.app_factory import create_app
from src.config import Config
from src.web.access import Access, access_of
from tests.conftest import ROOMY, ROOT

CONFIG = Config.from_env(ROOMY)


def routes_of(app: Flask) -> list[tuple[str, str, Access]]:
    """Method, rule and access of every route."""
    return [
        (method, rule.rule, access_of(app.view_functions[rule.endpoint]))
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]


def address_of(rule: str) -> str:
    return re.sub(r"<[^>]+>", "x", rule)


def client_of(**changes: Any) -> FlaskClient:
    return create_app(replace(CONFIG, **changes)).test_client()


@pytest.mark.parametrize("path", ["/documents", "/search?q=a", "/v1/models"])
@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic a2V5"}])
def test_key_is_asked_for_where_one_is_set(path: str, header: dict[str, str]) -> None:
    """Without the key: 401 that says how to send it."""
    response = client_of(api_key=("key", "other")).get(path, headers=header)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert "Authorization: Bearer" in response.get_json()["error"]["message"]


def test_route_is_keyed_and_limited_unless_it_says_otherwise() -> None:
    """Every route of the map, and a new one that says nothing: only those declared public answer without a key."""
    app = create_app(replace(CONFIG, api_key=("key",), admin_token="admin", rate_limit="1 per hour"))
    app.add_url_rule("/new", "new", lambda: "open")
    routes = routes_of(app)
    assert ("GET", "/new", Access.KEYED) in routes
    for number, (method, rule, access) in enumerate(routes):
        client = {"REMOTE_ADDR": f"10.0.0.{number}"}
        first = app.test_client().open(address_of(rule), method=method, environ_base=client)
        second = app.test_client().open(address_of(rule), method=method, environ_base=client)
        is_open = (first.status_code != 401, second.status_code != 429)
        assert is_open == ((True, True) if access is Access.PUBLIC else (False, False)), rule


def test_description_says_who_may_call() -> None:
    """`security` of each operation is what its route is declared with."""
    words = {Access.PUBLIC: [{}], Access.ADMIN: [{"admin": []}], Access.KEYED: None}
    paths = yaml.safe_load((ROOT / "src" / "web" / "openapi.yaml").read_text())["paths"]
    for method, rule, access in routes_of(create_app(CONFIG)):
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)
        if path in paths:
            assert paths[path][method.lower()].get("security") == words[access], rule


def test_key_opens_and_probes_need_none() -> None:
    """With any of the keys the route answers; /health never asks for one."""
    client = client_of(api_key=("key", "other"))
    for key in ("key", "other"):
        assert client.get("/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code == 200
    assert client.get("/health").status_code == 200


def test_more_than_the_rate_is_429_with_a_time_to_come_back() -> None:
    """Each client address has its own count; what is public is not counted."""
    client = client_of(rate_limit="2 per minute")
    statuses = [client.post("/chat", json={}).status_code for _ in range(3)]
    assert statuses == [400, 400, 429]
    response = client.post("/chat", json={})
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert client.post("/chat", json={}, environ_base={"REMOTE_ADDR": "10.0.0.9"}).status_code == 400
    assert [client.get("/health").status_code for _ in range(5)] == [200] * 5


def test_forwarded_address_counts_only_behind_as_many_proxies() -> None:
    """A client cannot escape its count by writing another address into the header."""
    client = client_of(rate_limit="1 per minute", trusted_proxies=0)
    for spoofed, status in (("1.1.1.1", 400), ("2.2.2.2", 429)):
        response = client.post("/chat", json={}, headers={"X-Forwarded-For": spoofed})
        assert response.status_code == status
    client = client_of(rate_limit="1 per minute", trusted_proxies=2)
    for chain, status in (
        ("9.9.9.9, 1.1.1.1, 104.0.0.1", 400),
        ("8.8.8.8, 1.1.1.1, 104.0.0.1", 429),
        ("1.1.1.1, 2.2.2.2, 104.0.0.1", 400),
    ):
        response = client.post("/chat", json={}, headers={"X-Forwarded-For": chain})
        assert response.status_code == status


def test_every_response_carries_the_security_headers() -> None:
    """No inline script, no sniffing, no framing; errors too."""
    client = client_of()
    for path in ("/", "/health", "/nothing"):
        headers = client.get(path).headers
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] in ("no-referrer", "same-origin")


def test_only_named_origins_may_call_from_a_page() -> None:
    """CORS is closed unless an origin is named."""
    client = client_of(cors_origins=("https://docs.example",))
    allowed = client.get("/health", headers={"Origin": "https://docs.example"})
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://docs.example"
    other = client.get("/health", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in other.headers


def test_any_origin_may_call_where_that_is_said() -> None:
    """`*` is no origin that a browser sends."""
    response = client_of(cors_origins=("*",)).get("/health", headers={"Origin": "https://any.example"})
    assert response.headers["Access-Control-Allow-Origin"] == "https://any.example"


def test_preflight_and_unknown_path_need_no_key() -> None:
    """A browser asks before it sends the key; a path that does not exist is 404 for everybody."""
    client = client_of(api_key=("key",), cors_origins=("https://docs.example",))
    preflight = client.options("/chat", headers={"Origin": "https://docs.example"})
    assert preflight.status_code == 200
    assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
    assert client.get("/nothing").status_code == 404


def test_admin_route_is_off_without_a_token_and_asks_for_it_with_one() -> None:
    """403 without ADMIN_TOKEN set, 401 without the right one sent, 200 with it."""
    assert client_of().post("/memory/optimize").status_code == 403
    client = client_of(admin_token="admin")
    assert client.post("/memory/optimize").status_code == 401
    body = client.post("/memory/optimize", headers={"Authorization": "Bearer admin"}).get_json()
    assert set(body) == {"charged_before_mb", "charged_after_mb", "given_back_mb"}
