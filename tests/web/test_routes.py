"""What single routes do that needs neither a load nor a server of its own."""

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient

from src.app_factory import create_app
from src.config import Config
from src.records import Document
from src.retrieval.text_store import TextStore
from src.web.document_view import PAGE_CHARS
from src.web.routes.api_docs import SWAGGER_FILES, version_of
from src.web.services import EXTENSION
from tests.conftest import ROOMY
from tests.fakes import cut_chunk
from tests.retrieval.corpus import write_texts

CONFIG = Config.from_env(ROOMY)
# Three of them fill two parts of a document, to the last character.
THIRDS = [letter * (PAGE_CHARS * 2 // 3 - 1) + "\n" for letter in "abc"]


def client_of(**changes: Any) -> FlaskClient:
    return create_app(replace(CONFIG, **changes)).test_client()


@contextmanager
def client_over(folder: Path, *passages: str) -> Iterator[FlaskClient]:
    """Serve one document that is nothing but these passages, and the blanks at their ends."""
    document = Document("rules.txt", "Rules", "".join(passages), "0" * 64)
    chunks, start = [], 0
    for number, passage in enumerate(passages):
        chunks.append(cut_chunk(document, number, start, start + len(passage.rstrip())))
        start += len(passage)
    write_texts(folder / "texts", [document], chunks)
    app = create_app(CONFIG)
    with closing(TextStore.open(folder / "texts")) as texts:
        index = SimpleNamespace(texts=texts)
        app.extensions[EXTENSION] = replace(app.extensions[EXTENSION], get_index=lambda: index)
        yield app.test_client()


def get_page(client: FlaskClient, offset: int) -> BeautifulSoup:
    response = client.get(f"/documents/rules.txt?offset={offset}", headers={"Accept": "text/html"})
    return BeautifulSoup(response.text, "html.parser")


def words_of(page: BeautifulSoup) -> list[str]:
    """The text of the document, without the numbers of its passages."""
    return [line.get_text().lstrip("0123456789") for line in page.select("#document p")]


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


def test_parts_joined_are_the_text(tmp_path: Path) -> None:
    """A program reads on from where a part ends, up to `characters`, and learns which passages reach into each."""
    with client_over(tmp_path, *THIRDS) as client:
        parts = [client.get(f"/documents/rules.txt?offset={at}").get_json() for at in (0, PAGE_CHARS)]
    assert "".join(part["text"] for part in parts) == "".join(THIRDS)
    assert [(part["offset"], len(part["text"]), part["characters"]) for part in parts] == [
        (0, PAGE_CHARS, 2 * PAGE_CHARS),
        (PAGE_CHARS, PAGE_CHARS, 2 * PAGE_CHARS),
    ]
    assert [[chunk["chunk_id"] for chunk in part["passages"]] for part in parts] == [
        ["rules.txt#0", "rules.txt#1"],
        ["rules.txt#1", "rules.txt#2"],
    ]


def test_part_of_a_page_begins_and_ends_with_a_passage(tmp_path: Path) -> None:
    """What lies across the border is whole in both, so that no list or block of code is cut."""
    first, second, third = (passage.rstrip() for passage in THIRDS)
    with client_over(tmp_path, *THIRDS) as client:
        assert words_of(get_page(client, 0)) == [first, second]
        assert words_of(get_page(client, PAGE_CHARS)) == [second, third]


def test_page_beyond_the_end_is_the_last_part(tmp_path: Path) -> None:
    """An address that names no place shows the end, after which nothing comes, and not the whole document."""
    with client_over(tmp_path, *THIRDS) as client:
        last, at_the_end, beyond = (get_page(client, at) for at in (PAGE_CHARS, 2 * PAGE_CHARS, 999_999_999))
    assert [link["href"] for link in last.select(".pager a")] == ["?offset=0"]
    assert at_the_end == beyond == last


def test_part_without_a_passage_is_a_page(tmp_path: Path) -> None:
    """It is nothing but blanks, and the parts beside it can be reached."""
    with client_over(tmp_path, "One." + "\n" * 2 * PAGE_CHARS, "Two.") as client:
        pages = [get_page(client, part * PAGE_CHARS) for part in range(3)]
    assert [words_of(page) for page in pages] == [["One."], [], ["Two."]]
    assert len(pages[1].select(".pager a")) == 2


def test_report_of_the_memory_is_text_where_text_is_preferred() -> None:
    """JSON for everybody else."""
    client = client_of()
    for accept, kind in (
        ("text/plain", "text/plain"),
        ("*/*", "application/json"),
        ("application/json, text/plain;q=0.5", "application/json"),
    ):
        assert client.get("/memory/report", headers={"Accept": accept}).mimetype == kind
