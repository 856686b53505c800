"""The chat page, used as a person uses it."""

import re
from collections.abc import Callable
from itertools import chain, repeat
from pathlib import Path
from threading import Event

from playwright.sync_api import BrowserContext, Page, expect

from tests.conftest import Server, serve, wait_until
from tests.http_server import DEADLOCK_S
from tests.llm_server import SSE, LLMServer, Reply, event, streamed
from tests.page.conftest import ask, last_exchange, llm_settings, open_chat, words, words_of_marks

QUESTION = "How many days of annual leave do employees get?"


def test_question_field_has_the_focus_and_enter_asks(page: Page, server: Server) -> None:
    """Open, type, read: the answer comes with markers and says that it is quoted."""
    open_chat(page, server)
    expect(page.get_by_label("Your question")).to_be_focused()
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    exchange = last_exchange(page)
    expect(exchange.get_by_role("heading", level=2)).to_have_text(QUESTION)
    expect(exchange.locator(".marker").first).to_be_visible()
    expect(exchange.locator(".remark")).to_contain_text("Quoted")
    expect(page.get_by_label("Your question")).to_have_value("")


def test_suggestions_come_from_the_index_and_can_be_asked(page: Page, server: Server) -> None:
    """A person who does not know what to ask presses a button; each names a document that exists."""
    open_chat(page, server)
    buttons = page.get_by_role("list", name="Questions to start with").get_by_role("button")
    expect(buttons).to_have_count(4)
    titles = {entry["title"] for entry in server.get("/documents").json()["documents"]}
    for text in buttons.all_text_contents():
        assert text.endswith("?") or text.partition(": ")[0] in titles, text
    buttons.first.click()
    expect(last_exchange(page).locator(".marker").first).to_be_visible()


def test_marker_opens_the_source_with_the_passage_in_its_place(page: Page, server: Server) -> None:
    """What is marked is what the citation names, with the document's text around it."""
    citation = server.ask(QUESTION)["citations"][0]
    open_chat(page, server)
    ask(page, QUESTION)
    page.get_by_role("button", name="Source 1:").first.click()
    panel = page.get_by_role("dialog", name=citation["title"])
    expect(panel.locator("mark").first).to_be_in_viewport()
    assert words_of_marks(panel) == words(citation["excerpt"])
    assert len(panel.locator(".document").inner_text()) > 2 * len(citation["excerpt"])
    expect(panel).to_contain_text(citation["section"])
    answer, source = last_exchange(page).bounding_box(), panel.bounding_box()
    assert answer
    assert source
    assert answer["x"] + answer["width"] <= source["x"], "the source lies over the answer"


def test_address_of_a_citation_is_a_page_of_its_own(page: Page, server: Server) -> None:
    """The link can be sent to a colleague."""
    citation = server.ask(QUESTION)["citations"][0]
    page.goto(server.url + citation["url"])
    expect(page.locator("mark").first).to_be_in_viewport()
    assert words_of_marks(page) == words(citation["excerpt"])


def test_answer_streams_in_and_markers_become_buttons_at_the_end(page: Page, tmp_path: Path, llm: LLMServer) -> None:
    """The first words stand there while the rest is still being written."""
    goes_on = Event()
    llm.script = [Reply(headers=SSE, body=[event("You get 27 days"), goes_on, event(" [1]. [9]"), event("", "stop")])]
    with serve(tmp_path / "log", **llm_settings(llm)) as server:
        open_chat(page, server)
        ask(page, QUESTION)
        text = last_exchange(page).locator(".text")
        expect(text).to_have_text("You get 27 days")
        expect(page.get_by_role("button", name="Stop")).to_be_visible()
        expect(page.locator("#conversation")).to_have_attribute("aria-busy", "true")
        expect(page.locator(".marker")).to_have_count(0)
        goes_on.set()
        expect(page.get_by_role("button", name=re.compile("^Source 1:"))).to_have_count(1)
        expect(page.locator("#conversation")).to_have_attribute("aria-busy", "false")
        expect(text).not_to_contain_text("[9]")
        expect(last_exchange(page).locator(".remark")).to_contain_text("Written by AI")


def test_follow_up_carries_the_conversation_also_after_a_reload(page: Page, tmp_path: Path, llm: LLMServer) -> None:
    """The second question is understood from the first; a reload forgets nothing, a new conversation everything."""
    llm.script = [streamed("Employees get 27 days [1].")]
    with serve(tmp_path / "log", **llm_settings(llm)) as server:
        open_chat(page, server)
        ask(page, QUESTION)
        expect(page.locator(".marker")).to_have_count(1)
        page.reload()
        expect(page.locator(".marker")).to_have_count(1)
        with page.expect_request("**/chat") as caught:
            ask(page, "And for part-time staff?")
        assert caught.value.post_data_json["history"] == [
            {"role": "user", "content": QUESTION},
            {"role": "assistant", "content": "Employees get 27 days [1]."},
        ]
        expect(page.locator(".marker")).to_have_count(2)
        page.get_by_role("button", name="New conversation").click()
        expect(page.locator(".exchange")).to_have_count(0)
        with page.expect_request("**/chat") as caught:
            ask(page, QUESTION)
        assert caught.value.post_data_json["history"] == []
        expect(page.locator(".marker")).to_have_count(1)


def test_long_conversation_stays_within_the_bounds_of_the_api(page: Page, server: Server) -> None:
    """Fifty turns of 8000 wide characters would be over the body's 256 KiB; the newest that fit are sent."""
    open_chat(page, server)
    page.evaluate(
        """() => {
            const body = { answer: "\\u0007" + "語".repeat(9000), citations: [], sources: [], answered_by: "none" };
            const exchanges = Array.from({ length: 40 }, (_, n) => ({ question: `Question ${n}`, body }));
            sessionStorage.setItem("rag.conversation", JSON.stringify(exchanges));
        }"""
    )
    page.reload()
    with page.expect_response("**/chat") as caught:
        ask(page, QUESTION)
    assert caught.value.status == 200
    history = caught.value.request.post_data_json["history"]
    assert history[-2]["content"] == "Question 39"
    assert 2 <= len(history) <= 50
    assert all(len(turn["content"]) <= 8000 for turn in history)
    expect(last_exchange(page).locator(".marker").first).to_be_visible()


def test_reload_leaves_the_reader_in_place_and_ready_to_type(page: Page, server: Server) -> None:
    """The conversation is drawn again under the same eyes, and the box has the keyboard."""
    open_chat(page, server)
    page.set_viewport_size({"width": 800, "height": 400})
    for _ in range(2):
        ask(page, QUESTION)
        expect(last_exchange(page).locator(".sources")).to_be_visible()
    page.evaluate("scrollTo(0, 300)")
    page.reload()
    expect(page.locator("#message")).to_be_focused()
    wait_until(lambda: page.evaluate("scrollY") == 300, "the place of before")


def test_stop_ends_the_answer_here_and_at_the_llm(page: Page, tmp_path: Path, llm: LLMServer) -> None:
    """What was written stays, and the LLM, which would write for ever, is left."""
    goes_on = Event()
    llm.script = [Reply(headers=SSE, body=chain([event("You get"), goes_on], repeat(event(" more"))))]
    with serve(tmp_path / "log", **llm_settings(llm)) as server:
        open_chat(page, server)
        ask(page, QUESTION)
        expect(last_exchange(page).locator(".text")).to_contain_text("You get")
        page.get_by_role("button", name="Stop").click()
        expect(last_exchange(page).locator(".remark")).to_contain_text("Stopped")
        expect(last_exchange(page).locator(".text")).to_contain_text("You get")
        expect(page.get_by_role("button", name="Ask again")).to_be_visible()
        expect(page.get_by_role("button", name="Ask", exact=True)).to_be_visible()
        goes_on.set()
        assert llm.hung_up.wait(DEADLOCK_S)
        message = page.locator("#message")
        message.press("ArrowUp")
        expect(message).to_have_value(QUESTION)
        page.reload()
        expect(message).to_have_value(QUESTION)


def test_end_of_an_answer_does_not_move_the_reader(page: Page, tmp_path: Path, llm: LLMServer) -> None:
    """Who has scrolled meanwhile stays there; who has not sees the question at the top."""
    goes_on = Event()
    long = "Employees get 27 days.\n\n" * 60
    llm.script = [streamed(f"{long} [1]"), Reply(headers=SSE, body=[event(long), goes_on, event("[1]", "stop")])]
    with serve(tmp_path / "log", **llm_settings(llm)) as server:
        open_chat(page, server)
        ask(page, QUESTION)
        expect(last_exchange(page).locator(".marker").first).to_be_visible()
        ask(page, QUESTION)
        expect(last_exchange(page).locator(".text")).to_contain_text("27 days")
        page.evaluate("scrollTo(0, 100)")
        goes_on.set()
        expect(last_exchange(page).locator(".marker").first).to_be_attached()
        assert page.evaluate("scrollY") == 100


def test_ask_again_replaces_the_last_answer(page: Page, server: Server) -> None:
    """A second try does not stand below the first, and does not see it as history."""
    open_chat(page, server)
    ask(page, QUESTION)
    expect(page.locator(".marker").first).to_be_visible()
    with page.expect_request("**/chat") as caught:
        page.get_by_role("button", name="Ask again").click()
    assert caught.value.post_data_json["history"] == []
    expect(page.locator(".exchange")).to_have_count(1)
    expect(page.locator(".marker").first).to_be_visible()


def test_copy_takes_the_answer_with_its_sources(page: Page, server: Server) -> None:
    """What is pasted into a mail can still be checked."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_chat(page, server)
    body = server.ask(QUESTION)
    ask(page, QUESTION)
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(body["answer"])
    assert server.url + body["citations"][0]["url"] in copied


def test_refusal_says_that_nothing_was_made_up(page: Page, server: Server) -> None:
    """No markers, the nearest passages at hand, words instead of codes."""
    open_chat(page, server)
    ask(page, "What is the boiling point of tungsten on Jupiter?")
    exchange = last_exchange(page)
    expect(exchange.locator(".remark")).to_contain_text("No answer found")
    expect(exchange.locator(".marker")).to_have_count(0)
    nearest = exchange.get_by_role("region", name="Nearest passages").get_by_role("link")
    expect(nearest).to_have_count(3)
    nearest.first.click()
    expect(page.locator("#source-panel mark").first.first).to_be_visible()


def test_keyboard_alone_is_enough(page: Page, server: Server) -> None:
    """Ask, go to a marker, read the source, come back to the marker."""
    open_chat(page, server)
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    expect(page.locator(".marker").first).to_be_visible()
    for _ in range(20):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.className") == "marker":
            break
    expect(page.locator(".marker:focus")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Close")).to_be_focused()
    expect(page.locator("#source-panel mark").first).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(page.locator("#source-panel")).to_be_hidden()
    expect(page.locator(".marker:focus")).to_have_count(1)


def test_skip_link_is_the_first_stop(page: Page, server: Server) -> None:
    """The navigation need not be tabbed through on every page."""
    page.goto(server.url + "/documents")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_two_windows_have_two_conversations(
    page: Page, server: Server, new_context: Callable[..., BrowserContext]
) -> None:
    """The conversation belongs to the tab."""
    open_chat(page, server)
    ask(page, QUESTION)
    expect(page.locator(".marker").first).to_be_visible()
    other = new_context().new_page()
    open_chat(other, server)
    expect(other.locator(".exchange")).to_have_count(0)
