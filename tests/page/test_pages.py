"""The pages over HTTP: who gets HTML, what is cached, that text stays text, that the API page works."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.conftest import DOCUMENTS, ROOT, Server, build, corpus_places, serve
from tests.page.conftest import ask, last_exchange, open_chat, words, words_of_marks

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
HOSTILE = """# \\<script>alert(1)\\</script> Keys

## Where \\<b>keys\\</b> are

\U0001f511\U0001f511 The spare key of the \\<img src=x onerror=alert(1)> cellar hangs behind the clock. Read
[this](javascript:alert(1)) or https://example.org/keys first.
"""


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/documents", 200),
        ("/documents?q=leave", 200),
        ("/documents/people/annual-leave.md", 200),
        ("/documents/nothing.md", 404),
    ],
)
def test_browser_gets_a_page_and_a_program_json(server: Server, path: str, status: int) -> None:
    """The same address serves both, and caches learn it from `Vary`."""
    for headers, kind in ((BROWSER, "text/html"), ({}, "application/json"), ({"Accept": "*/*"}, "application/json")):
        response = server.get(path, headers=headers)
        assert (response.status_code, response.headers["Content-Type"].partition(";")[0]) == (status, kind)
        assert "Accept" in response.headers["Vary"]


def test_error_page_keeps_the_status(server: Server) -> None:
    """A page that says what is wrong is still a 404."""
    response = server.get("/nothing", headers=BROWSER)
    assert (response.status_code, response.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert response.headers["X-Request-ID"] in response.text


@pytest.mark.parametrize("path", ["/", "/documents", "/memory", "/docs"])
def test_page_is_strict_and_whole(server: Server, path: str) -> None:
    """No inline script or style, nothing from another host, all it names is there and may be kept for ever."""
    response = server.get(path, headers=BROWSER)
    policy = response.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert not re.search(r"<script(?![^>]*(?:\bsrc=|type=.application/json))|<style| style=| on\w+=", response.text)
    assets = re.findall(r'(?:src|href)="(/assets/[^"]+)"', response.text)
    assert assets
    for address in assets:
        asset = server.get(address)
        assert asset.status_code == 200
        assert asset.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    outside = re.findall(r'(?:src|href|action)="(?!/|#|")([^"]*)"', response.text)
    assert outside == []


def test_asset_under_an_old_hash_is_not_kept(server: Server) -> None:
    """A page opened before a deployment still works, and nothing stale stays."""
    response = server.get("/assets/0123456789ab/chat.js")
    assert response.status_code == 200
    assert "immutable" not in response.headers["Cache-Control"]
    assert server.get("/assets/0123456789ab/../pages.py").status_code == 404
    assert server.get("/assets/0123456789ab/..%2f..%2faccess.py").status_code == 404


def test_pages_load_nothing_heavy() -> None:
    """A fresh process that served every page has loaded none of the heavy libraries."""
    code = """
import sys
from src.app_factory import create_app
from src.config import Config
from src.readiness import Readiness
Readiness.start = lambda self: None
client = create_app(Config.from_env()).test_client()
heavy = {"numpy", "onnxruntime", "tokenizers", "chromadb", "requests"}
lists = ("/documents", "/documents?q=leave", "/documents/people/annual-leave.md", "/suggestions")
for path in ("/", "/memory", "/docs", "/assets/0/chat.js", *lists):
    assert client.get(path, headers={"Accept": "text/html"}).status_code == 200, path
print(sorted(heavy & set(sys.modules)))
"""
    environment = {**os.environ, **corpus_places()}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_api_page_shows_every_operation_and_sends_requests(page: Page, server: Server) -> None:
    """Swagger UI works under the strict policy: what the description lists stands there, and one can be tried."""
    page.goto(server.url + "/docs")
    operations = [method for methods in server.get("/openapi.json").json()["paths"].values() for method in methods]
    expect(page.locator(".opblock")).to_have_count(len(operations))
    chat = page.locator("#operations-ask-chat")
    chat.locator(".opblock-summary-control").click()
    chat.get_by_role("button", name="Try it out").click()
    chat.get_by_role("button", name="Execute").click()
    expect(chat.locator(".live-responses-table .response").first).to_contain_text('"answered_by"')


def test_only_swagger_uis_own_files_are_served(server: Server) -> None:
    """The package holds more than the page needs; one version may be kept for ever."""
    addresses = re.findall(r'(?:src|href)="(/docs/[^"]+)"', server.get("/docs").text)
    assert len(addresses) == 2
    for address in addresses:
        assert server.get(address).headers["Cache-Control"] == "public, max-age=31536000, immutable"
    folder = addresses[0].rpartition("/")[0]
    for name in ("oauth2-redirect.html", "..%2fflask_swagger_ui.py"):
        assert server.get(f"{folder}/{name}").status_code == 404


def test_name_of_the_app_is_one_setting(tmp_path: Path) -> None:
    """The pages, the log, the models and the description carry the name that is set."""
    with serve(tmp_path / "log", APP_NAME="Acme <Handbook>") as running:
        for path in ("/", "/documents", "/memory", "/docs", "/nothing"):
            text = running.get(path, headers=BROWSER).text
            assert "Acme &lt;Handbook&gt;</a>" in text
            assert "· Acme &lt;Handbook&gt;</title>" in text
            assert "rag512" not in text
        assert running.get("/v1/models").json()["data"][0]["id"] == "Acme <Handbook>"
        assert "] Acme <Handbook>: Memory [startup]" in running.log.read_text()
        assert running.get("/openapi.json").json()["info"]["title"] == "Acme <Handbook>"


def test_scripts_say_what_the_page_was_given(page: Page, server: Server) -> None:
    """The words that scripts put in are those of texts.json, too: a translation needs no other file."""
    german = {"ready": "Bereit: {documents}, {passages}.", "documents_many": "{count} Dokumente", "quoted": "Zitat"}

    def translate(route: Route) -> None:
        html = route.fetch().text()
        for key, value in german.items():
            html, count = re.subn(rf'("{key}": )"[^"]*"', rf'\1"{value}"', html)
            assert count == 1
        route.fulfill(body=html, content_type="text/html")

    page.route(server.url + "/", translate)
    page.goto(server.url + "/")
    total = server.get("/documents").json()["total"]
    expect(page.locator("#status")).to_contain_text(f"Bereit: {total} Dokumente, ")
    ask(page, "How many days of annual leave do employees get?")
    expect(last_exchange(page).locator(".badge")).to_have_text("Zitat")


def test_list_search_and_reading_lead_to_one_another(page: Page, server: Server) -> None:
    """From the list to a document, from a search to the passage in its document."""
    page.goto(server.url + "/documents")
    total = server.get("/documents").json()["total"]
    expect(page.get_by_text(f"{total} documents in the index")).to_be_visible()
    page.get_by_label("Search the passages by their words").fill("carry over leave")
    page.keyboard.press("Enter")
    page.locator(".hits a").first.click()
    expect(page.locator("mark").first).to_be_in_viewport()
    path = page.url.split("/documents/")[1].split("?")[0]
    document = server.get(f"/documents/{path}").json()
    expect(page.locator(".cut")).to_have_count(len(document["passages"]))
    text = page.locator("#document").inner_text()
    marked = [mark.inner_text() for mark in page.locator("mark").all()]
    chunk = next(item for item in document["passages"] if f"start={item['start']}&" in page.url)
    assert "".join("".join(marked).split()) in "".join(document["text"][chunk["start"] : chunk["end"]].split())
    assert text.count("#") < document["text"].count("#")


def test_original_file_is_given_where_it_lies(server: Server) -> None:
    """What is deployed with the documents gives them as they were; only indexed ones, and never as a page."""
    path = server.get("/documents").json()["documents"][0]["document"]
    given = server.get(f"/documents/{path}?original")
    assert "attachment" in given.headers["Content-Disposition"]
    assert given.content == (DOCUMENTS / path).read_bytes()
    assert server.get("/documents/..%2fapp.py?original").status_code == 404


@pytest.fixture(scope="module")
def hostile_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("hostile")
    (folder / "documents").mkdir()
    (folder / "documents" / 'a "quoted" & <b>.md').write_text(HOSTILE)
    (folder / "documents" / "b.md").write_text("# 休暇\n\n有給休暇は年に20日です。\n", encoding="utf-8")
    places = {"DOCUMENTS_DIR": str(folder / "documents"), "INDEX_DIR": str(folder / "index")}
    build(places)
    with serve(folder / "log", MAX_REQUESTS="0", **places) as running:
        yield running


def test_documents_are_text_and_never_markup(page: Page, hostile_server: Server) -> None:
    """Tags are read, not run; only http links are links; emoji do not shift the mark."""
    open_chat(page, hostile_server)
    ask(page, "Where does the spare key of the cellar hang?")
    exchange = last_exchange(page)
    expect(exchange.locator(".text")).to_contain_text("‹img src=x onerror=alert(1)>")
    expect(page.locator("main img, main script, main b img")).to_have_count(0)
    assert all(
        href.startswith("http")
        for href in exchange.locator("a").evaluate_all("links => links.map((link) => link.href)")
    )
    excerpt = hostile_server.ask("Where does the spare key of the cellar hang?")["citations"][0]["excerpt"]
    exchange.locator(".marker").first.click()
    expect(page.locator("#source-panel mark").first).to_be_visible()
    assert words_of_marks(page.locator("#source-panel")) == words(excerpt)
    for path in ("/documents", "/documents?q=key"):
        page.goto(hostile_server.url + path)
        expect(page.locator("main script, main img")).to_have_count(0)
        page.locator(".documents a, .hits a").first.click()
        expect(page.locator(".document")).to_contain_text("<img src=x onerror=alert(1)>")
        expect(page.locator("main img, main script, main h1 *")).to_have_count(0)


def test_search_finds_words_without_blanks_between_them(hostile_server: Server) -> None:
    """A Japanese word in the middle of a sentence is a word."""
    found = hostile_server.get("/documents", params={"q": "休暇"}, headers=BROWSER).text
    assert "有給休暇は年に20日です。" in found
    assert 'dir="auto"' in found
