"""The page for everybody: on a phone, in the dark, with a screen reader, small."""

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.conftest import Server, serve
from tests.page.conftest import Watch, ask, last_exchange, open_chat

QUESTION = "How many days of annual leave do employees get?"
DOCUMENT = "/documents/people/annual-leave.md?start=300&end=600"
PAGES = ("/", "/documents", "/documents?q=leave", DOCUMENT, "/memory", "/docs", "/nothing-here")
CLEAN: dict[str, list[str]] = {"light": [], "dark": []}
MAX_BYTES = 80_000
NewContext = Callable[..., BrowserContext]


def serious_violations(page: Page) -> list[str]:
    """Run axe-core on the page as it is."""
    if not page.evaluate("'axe' in window"):
        page.evaluate((resources.files("axe_playwright_python") / "axe.min.js").read_text())
    result = page.evaluate("axe.run()")
    return [
        f"{found['id']} ({found['impact']}): {json.dumps([node['html'] for node in found['nodes']])[:500]}"
        for found in result["violations"]
        if found["impact"] in ("serious", "critical")
    ]


def serious_violations_in_light_and_dark(page: Page) -> dict[str, list[str]]:
    """The page is drawn once, and the scheme changes under it, as in the evening; without a transition on the way."""
    found = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        found[scheme] = serious_violations(page)
    return found


@pytest.mark.parametrize("path", PAGES)
def test_page_has_no_serious_violation(page: Page, watch: Watch, server: Server, path: str) -> None:
    """Labels, roles, contrast, headings: axe-core finds nothing serious, in light and dark."""
    watch.expects_failures = path == "/nothing-here"
    page.goto(server.url + path)
    drawn = {"/memory": "#processes tr", "/docs": ".opblock"}
    if path in drawn:
        expect(page.locator(drawn[path]).first).to_be_visible()
    assert serious_violations_in_light_and_dark(page) == CLEAN


def test_conversation_with_an_open_source_has_no_serious_violation(page: Page, server: Server) -> None:
    """The states that appear only in use are checked too."""
    open_chat(page, server)
    for question in ("What is the boiling point of tungsten on Jupiter?", QUESTION):
        ask(page, question)
        expect(last_exchange(page).locator(".sources")).to_be_visible()
    page.locator(".marker").first.click()
    expect(page.locator("#source-panel mark").first).to_be_visible()
    assert serious_violations_in_light_and_dark(page) == CLEAN


def test_dark_follows_the_system(page: Page, server: Server) -> None:
    """Dark paper, light ink, without a switch."""
    brightness = {}
    page.goto(server.url + "/")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        brightness[scheme] = sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(",")))
    assert brightness["dark"] < 3 * 64 < 3 * 192 < brightness["light"]


def test_phone_of_360_pixels_needs_no_sideways_scrolling(new_context: NewContext, watch: Watch, server: Server) -> None:
    """On no page is anything wider than a small phone."""
    page = new_context(viewport={"width": 360, "height": 740}).new_page()
    watch.expects_failures = True
    watch.follow(page)
    widths = {}
    for path in PAGES:
        page.goto(server.url + path)
        widths[path] = page.evaluate("document.documentElement.scrollWidth")
    assert {path: width for path, width in widths.items() if width > 360} == {}


def test_source_covers_the_phone_and_gives_it_back(new_context: NewContext, watch: Watch, server: Server) -> None:
    """On a phone the source lies over the answer; closing it leads back to the marker."""
    page = new_context(viewport={"width": 360, "height": 740}, has_touch=True).new_page()
    watch.follow(page)
    open_chat(page, server)
    ask(page, QUESTION)
    page.locator(".marker").first.tap()
    expect(page.locator("#source-panel mark").first).to_be_in_viewport()
    box = page.locator("#source-panel").bounding_box()
    assert box
    assert (box["x"], box["width"]) == (0, 360)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_role("button", name="Close").tap()
    expect(page.locator(".marker:focus")).to_have_count(1)
    height = page.locator(".marker").first.bounding_box()
    assert height
    assert height["height"] >= 24, "a finger needs 24 pixels (WCAG 2.2, 2.5.8)"


def test_answer_can_be_read_at_400_percent(new_context: NewContext, watch: Watch, server: Server) -> None:
    """A desk's window zoomed four times is 320 by 256 pixels: the composer leaves all of it to the answer."""
    page = new_context(viewport={"width": 320, "height": 256}).new_page()
    watch.follow(page)
    open_chat(page, server)
    ask(page, QUESTION)
    page.locator(".marker").first.scroll_into_view_if_needed()
    text, composer = page.locator(".text").bounding_box(), page.locator(".composer").bounding_box()
    assert text
    assert composer
    assert text["y"] + text["height"] <= composer["y"], "the composer lies over the answer"
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_plot_can_be_read_on_a_phone(new_context: NewContext, watch: Watch, server: Server) -> None:
    """Its words are as large as on a desk."""
    page = new_context(viewport={"width": 360, "height": 740}).new_page()
    watch.follow(page)
    page.goto(server.url + "/memory")
    expect(page.locator("#lines .charged")).to_have_count(1)
    heights = page.locator("#axis text").evaluate_all(
        "texts => texts.map((text) => text.getBoundingClientRect().height)"
    )
    assert min(heights) >= 11


def test_nothing_moves_for_those_who_asked_for_that(new_context: NewContext, server: Server) -> None:
    """With prefers-reduced-motion no element has a transition or an animation."""
    page = new_context(reduced_motion="reduce").new_page()
    page.goto(server.url + "/")
    moving = page.evaluate(
        """() => [...document.querySelectorAll("*")].map((element) => getComputedStyle(element))
            .filter((style) => style.transitionDuration !== "0s" || style.animationName !== "none").length"""
    )
    assert moving == 0


def test_memory_page_draws_what_is_charged(page: Page, server: Server) -> None:
    """The number, the bands and the processes are those of the server."""
    page.goto(server.url + "/memory")
    expect(page.locator("#processes tr")).to_have_count(len(server.get("/memory/stats").json()["processes"]))
    expect(page.locator("#bands rect")).to_have_count(2)
    expect(page.locator("#lines .charged")).to_have_count(1)
    shown = float(page.locator("#now").inner_text().split()[0])
    assert shown == pytest.approx(server.get("/memory/stats").json()["charged_mb"], rel=0.2)


def test_hand_over_is_marked_in_the_plot(page: Page, tmp_path: Path) -> None:
    """A worker that was not there a moment ago is a dashed line, and another line for its memory."""
    with serve(tmp_path / "log", MAX_REQUESTS="1", MAX_REQUESTS_JITTER="0") as running:
        page.goto(running.url + "/memory")
        expect(page.locator("#processes tr")).to_have_count(2)
        running.ask(QUESTION)
        expect(page.locator("#marks .handover").first).to_be_attached()
        expect(page.locator("#loaded tr").first).to_be_visible()


def test_everything_together_is_small() -> None:
    """Templates, scripts, styles, the icon and the words, uncompressed."""
    web = resources.files("src.web")
    files = [web / "texts.json", *(file for folder in ("static", "templates") for file in (web / folder).iterdir())]
    assert sum(len(file.read_bytes()) for file in files) < MAX_BYTES
