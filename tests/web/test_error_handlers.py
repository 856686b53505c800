"""One shape for every error: JSON for a program, the same as a page for a person."""

import pytest
from flask import Flask, abort

from src.app_factory import create_app
from src.config import Config
from src.errors import ArtifactError
from src.records import Chunk, Hit, Retrieval
from src.web.responses import sources_json

BROWSER = {"Accept": "text/html"}


@pytest.fixture
def app() -> Flask:
    app = create_app(Config.from_env({}))

    @app.route("/broken", methods=["GET", "POST"])
    def broken() -> str:
        raise RuntimeError("/secret/path")

    @app.get("/teapot")
    def teapot() -> str:
        abort(418, description="Short and stout.")

    @app.get("/damaged")
    def damaged() -> str:
        message = "/srv/app-1/data/index/lexical.sqlite3 cannot be read. Run ./run.sh build; see data/index/x and http://a/b/c."
        raise ArtifactError(message)

    return app


def test_error_names_files_and_no_folders(app: Flask) -> None:
    """Where things lie on the server is nobody's business; commands and addresses stay."""
    message = app.test_client().get("/damaged").get_json()["error"]["message"]
    assert message == "lexical.sqlite3 cannot be read. Run ./run.sh build; see data/index/x and http://a/b/c."


def test_unexpected_error_hides_what_it_was(app: Flask) -> None:
    """The log has the trace; the caller has the id by which to find it."""
    response = app.test_client().get("/broken", headers={"X-Request-ID": "one"})
    assert response.status_code == 500
    error = response.get_json()["error"]
    assert (error["code"], error["request_id"]) == ("internal_error", "one")
    assert "secret" not in error["message"]


def test_browser_that_opens_a_page_gets_a_page_and_everything_else_json(app: Flask) -> None:
    """A request that a script sends is answered in JSON, whatever it accepts."""
    client = app.test_client()
    page = client.get("/broken", headers=BROWSER)
    assert (page.status_code, page.mimetype) == (500, "text/html")
    assert "Something failed" in page.text
    assert client.head("/broken", headers=BROWSER).mimetype == "text/html"
    for response in (client.post("/broken", headers=BROWSER), client.get("/broken")):
        assert (response.status_code, response.mimetype) == (500, "application/json")
        assert "Accept" in response.vary


def test_error_of_the_framework_keeps_its_words_and_headers(app: Flask) -> None:
    """What Werkzeug raises is translated, not replaced."""
    client = app.test_client()
    assert client.get("/teapot").get_json()["error"]["message"] == "Short and stout."
    wrong_method = client.get("/chat")
    assert wrong_method.get_json()["error"]["code"] == "method_not_allowed"
    assert wrong_method.headers["Allow"] == "OPTIONS, POST"


def test_ranks_count_over_all_pages_of_a_list() -> None:
    """The first result of a page that begins after ten is the eleventh."""
    hits = tuple(Hit(Chunk(f"a#{n}", "a", "A", "", None, "x", 0, 1, ()), 1.0) for n in range(2))
    ranks = [source["rank"] for source in sources_json(Retrieval(hits, "lexical", 12, 0.0, 0.0), offset=10)]
    assert ranks == [11, 12]
