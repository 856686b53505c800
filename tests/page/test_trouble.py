"""What the page does when not all is well: cold starts, full servers, lost lines, missing keys, an LLM that is down."""

import os
import re
import signal
from pathlib import Path
from threading import Event

import pytest
from playwright.sync_api import Page, Route, expect

from tests.conftest import DOCUMENTS, ROOT, Server, serve
from tests.llm_server import SSE, LLMServer, Reply, event, failed, streamed
from tests.page.conftest import Watch, ask, last_exchange, llm_settings, open_chat

QUESTION = "How many days of annual leave do employees get?"

# The real app, whose load waits until the test has seen what it came for.
GATED_APP = """
import os, time
from pathlib import Path
from src import app_factory

load = app_factory.load_services

def wait_and_load(*arguments):
    while not Path(os.environ["GATE"]).exists():
        time.sleep(0.02)
    load(*arguments)

app_factory.load_services = wait_and_load
app = app_factory.create_app()
"""


def test_question_asked_during_a_cold_start_is_sent_when_ready(page: Page, tmp_path: Path) -> None:
    """Opening the page starts the load; the person asks at once and need not ask again."""
    (tmp_path / "app.py").write_text(GATED_APP)
    gate = tmp_path / "gate"
    arguments = ("-c", str(ROOT / "gunicorn.conf.py"))
    with serve(tmp_path / "log", tmp_path, arguments, PYTHONPATH=str(ROOT), GATE=str(gate)) as server:
        assert server.get("/ready").json()["phase"] == "cold"
        page.goto(server.url + "/")
        expect(page.locator("#status")).to_contain_text(
            re.compile("The service is waking up: loading the (texts|embedding model) …")
        )
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.url))
        ask(page, QUESTION)
        expect(last_exchange(page).locator(".state")).to_contain_text("Your question is sent as soon as it is ready")
        assert not any(url.endswith("/chat") for url in sent)
        gate.touch()
        expect(last_exchange(page).locator(".marker").first).to_be_visible()
        assert sum(url.endswith("/chat") for url in sent) == 1


def test_llm_down_gives_quoted_sentences_and_says_so(page: Page, tmp_path: Path, llm: LLMServer) -> None:
    """The person gets an answer and knows what kind it is."""
    llm.script = [failed(500)]
    with serve(tmp_path / "log", **llm_settings(llm)) as server:
        open_chat(page, server)
        ask(page, QUESTION)
        expect(last_exchange(page).locator(".marker").first).to_be_visible()
        expect(last_exchange(page).locator(".note")).to_contain_text("The language model gave no answer")


def test_full_server_is_waited_out_in_sight(page: Page, watch: Watch, tmp_path: Path, llm: LLMServer) -> None:
    """503 with Retry-After: a countdown, then the answer, without a click."""
    watch.expects_failures = True
    goes_on = Event()
    llm.script = [
        Reply(headers=SSE, body=[event("Slow"), goes_on, event("", "stop")]),
        streamed("Employees get 27 [1]."),
    ]
    with serve(tmp_path / "log", MAX_CONCURRENT_CHATS="1", GUNICORN_THREADS="8", **llm_settings(llm)) as server:
        other = page.context.new_page()
        open_chat(other, server)
        ask(other, QUESTION)
        expect(last_exchange(other).locator(".text")).to_have_text("Slow")
        open_chat(page, server)
        ask(page, QUESTION)
        expect(last_exchange(page).locator(".trouble")).to_contain_text("already answering 1 requests")
        expect(last_exchange(page).locator(".countdown")).to_contain_text("Asking again in")
        goes_on.set()
        expect(last_exchange(page).locator(".marker")).to_have_count(1)
        expect(page.locator(".trouble")).to_have_count(0)


def test_rate_limit_is_counted_down_and_can_be_stopped(page: Page, watch: Watch, tmp_path: Path) -> None:
    """The suggestions and one question are counted, then 429: the person sees how long, and need not wait."""
    watch.expects_failures = True
    with serve(tmp_path / "log", RATE_LIMIT="2 per hour", MAX_REQUESTS="0") as server:
        open_chat(page, server)
        ask(page, QUESTION)
        expect(last_exchange(page).locator(".marker").first).to_be_visible()
        ask(page, "And how many can be carried over?")
        expect(last_exchange(page).locator(".countdown")).to_contain_text("Asking again in 3")
        page.get_by_role("button", name="Stop").click()
        expect(last_exchange(page).locator(".remark")).to_contain_text("Stopped")


def test_lost_connection_says_so_and_can_be_retried(page: Page, watch: Watch, server: Server) -> None:
    """The question is not lost with the line."""
    watch.expects_failures = True
    open_chat(page, server)
    page.context.set_offline(True)
    ask(page, QUESTION)
    expect(last_exchange(page).locator(".trouble")).to_contain_text("Connection lost")
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(last_exchange(page).locator(".marker").first).to_be_visible()
    expect(page.locator(".exchange")).to_have_count(1)


def test_server_that_dies_in_an_answer_is_noticed(page: Page, watch: Watch, tmp_path: Path, llm: LLMServer) -> None:
    """A stream without its end is not taken for an answer."""
    watch.expects_failures = True
    stays = Event()
    llm.script = [Reply(headers=SSE, body=[event("Half an"), stays])]
    with serve(tmp_path / "log", **llm_settings(llm)) as server:
        open_chat(page, server)
        ask(page, QUESTION)
        expect(last_exchange(page).locator(".text")).to_have_text("Half an")
        for process in server.get("/memory/stats").json()["processes"]:
            if process["role"] == "worker":
                os.kill(process["pid"], signal.SIGKILL)
        expect(last_exchange(page).locator(".trouble")).to_contain_text("Connection lost")
        expect(last_exchange(page).locator(".text")).to_have_text("Half an")
        stays.set()


def test_unusable_index_is_told_with_its_cure(page: Page, watch: Watch, tmp_path: Path) -> None:
    """The person who deployed it reads on the page what to run."""
    watch.expects_failures = True
    with serve(tmp_path / "log", INDEX_DIR=str(tmp_path / "nothing")) as server:
        page.goto(server.url + "/")
        expect(page.locator("#status")).to_contain_text("./run.sh build")
        expect(page.locator("#suggestions li")).to_have_count(0)
        page.goto(server.url + "/documents")
        expect(page.locator("main")).to_contain_text("./run.sh build")


def test_key_is_asked_for_once_and_kept_for_the_tab(page: Page, watch: Watch, tmp_path: Path) -> None:
    """A wrong key is asked for again; the right one serves the chat, the sources and the documents."""
    watch.expects_failures = True
    with serve(tmp_path / "log", API_KEY="open-sesame", MAX_REQUESTS="0") as server:
        open_chat(page, server)
        ask(page, QUESTION)
        for key, is_wrong in (("wrong", False), ("open-sesame", True)):
            expect(page.get_by_label("This service asks for a key")).to_be_focused()
            expect(page.get_by_text("This key is wrong.")).to_be_visible(visible=is_wrong)
            page.keyboard.type(key)
            page.keyboard.press("Enter")
        expect(page.locator("#suggestions li")).not_to_have_count(0)
        page.locator(".marker").first.click()
        expect(page.locator("#source-panel mark").first).to_be_visible()
        page.goto(server.url + "/documents")
        expect(page.get_by_role("link", name="Annual leave")).to_be_visible()


def test_page_of_documents_asks_for_the_key(page: Page, watch: Watch, tmp_path: Path) -> None:
    """A link to a document works for a person who has the key."""
    watch.expects_failures = True
    with serve(tmp_path / "log", API_KEY="open-sesame") as server:
        page.goto(server.url + "/documents")
        page.get_by_label("This service asks for a key").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_text("This key is wrong.")).to_be_visible()
        page.get_by_label("This service asks for a key").fill("open-sesame")
        page.keyboard.press("Enter")
        expect(page.get_by_role("link", name="Annual leave")).to_be_visible()
        page.get_by_role("link", name="Annual leave").click()
        with page.expect_download() as caught:
            page.get_by_role("link", name="Download").click()
        assert caught.value.suggested_filename == "annual-leave.md"
        assert caught.value.path().read_bytes() == (DOCUMENTS / "people" / "annual-leave.md").read_bytes()


@pytest.mark.parametrize(("mode", "words"), [("DEGRADED", "Word search only"), ("CAUTIOUS", "Fewer passages")])
def test_short_memory_is_told_in_words(page: Page, server: Server, mode: str, words: str) -> None:
    """The mode's name is for programs. The answer is the server's, but for the mode, which cannot be provoked here."""

    def change_mode(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, body=response.text().replace('"mode": "NORMAL"', f'"mode": "{mode}"'))

    open_chat(page, server)
    page.route("**/chat", change_mode)
    ask(page, QUESTION)
    expect(last_exchange(page).locator(".remarks")).to_contain_text(words)


def test_question_that_is_too_long_is_refused_and_kept(page: Page, watch: Watch, server: Server) -> None:
    """A pasted text is not cut in silence: the page says what is allowed, and the text is there to be shortened."""
    watch.expects_failures = True
    open_chat(page, server)
    pasted = "leave " * 400 + "end?"
    ask(page, pasted)
    expect(last_exchange(page)).to_contain_text("message has 2404 characters; at most 2000 are allowed")
    expect(page.locator("#message")).to_have_value(pasted)
