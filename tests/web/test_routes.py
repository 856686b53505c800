"""What single routes do that needs neither a load nor a server of its own."""

import logging
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from src.app_factory import create_app
from src.config import Config
from src.web.routes.api_docs import SWAGGER_FILES, version_of
from tests.conftest import ROOMY

CONFIG = Config.from_env(ROOMY)


def client_of(**changes: Any) -> FlaskClient:
    return create_app(replace(CONFIG, **changes)).test_client()


@pytest.mark.parametrize(("is_helpful", "word", "verdict"), [(True, "yes", "helpful"), (False, "no", "not_helpful")])
def test_feedback_is_counted_and_logged(
    is_helpful: bool, word: str, verdict: str, caplog: pytest.LogCaptureFixture
) -> None:
    """By the id of the answer, as what it says."""
    client = client_of()
    with caplog.at_level(logging.INFO):
        assert client.post("/feedback", json={"request_id": "abc", "helpful": is_helpful}).status_code == 204
    assert f"Feedback: request_id=abc helpful={word}" in caplog.text
    assert f'rag_feedback_total{{verdict="{verdict}"}} 1.0' in client.get("/metrics").text


def test_feedback_that_is_off_is_refused() -> None:
    """With the setting that turns it on."""
    response = client_of(feedback="off").post("/feedback", json={"request_id": "abc", "helpful": True})
    assert response.status_code == 403
    assert "FEEDBACK=on" in response.get_json()["error"]["message"]


@pytest.mark.parametrize("name", SWAGGER_FILES)
def test_swagger_ui_is_kept_under_its_version_only(name: str) -> None:
    """A browser that asks for an older one gets the newest, and does not keep it under that name."""
    client, version = client_of(), version_of("flask-swagger-ui")
    for asked, is_kept in ((version, True), ("0.0", False)):
        with client.get(f"/docs/{asked}/{name}") as response:
            assert response.status_code == 200
            assert bool(response.cache_control.immutable) is is_kept
    assert client.get(f"/docs/{version}/index.css").status_code == 404


def test_description_has_the_apps_name() -> None:
    """`APP_NAME` is what clients show."""
    assert client_of(app_name="Handbook").get("/openapi.json").get_json()["info"]["title"] == "Handbook"
