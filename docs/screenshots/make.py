"""Makes the pictures of the pages: `python -m docs.screenshots.make [folder]`; the README shows two of them.

With a folder it takes every page and state, to be looked at before a release. It runs the real server on the committed
index, once without an LLM, once with one that follows a script, once with a key.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks.running_server import Server, run_server
from tests.llm_server import SSE, Reply, event, serve_llm, streamed
from tests.page.conftest import ARGUMENTS, ask, find_chromium, last_exchange, open_chat

HERE = Path(__file__).parent
QUESTION = "How many days of annual leave do I get?"
DESK = {"width": 1040, "height": 620}
PHONE = {"width": 360, "height": 740}
ZOOMED = {"width": 320, "height": 256}
MARKDOWN = """## Annual leave

A full-time employee has **27 days** a year [1]. *After five years* it is more:

| Full years of service | Days |
|---|---|
| fewer than 5 | 27 [1] |
| 5 | 28 [1] |
| 10 | 30 [1] |

1. Ask in `Roster` with form L-1.
   - at least three working days before
   - two weeks before for anything longer
2. Your manager answers within three working days."""


def welcome(page: Page, server: Server) -> None:
    open_chat(page, server)
    expect(page.locator("#suggestions li").first).to_be_visible()


def answer(page: Page, server: Server) -> None:
    welcome(page, server)
    ask(page, QUESTION)
    expect(last_exchange(page).locator(".marker").first).to_be_visible()


def source(page: Page, server: Server) -> None:
    answer(page, server)
    page.locator(".marker").first.click()
    expect(page.locator("#source-panel mark").first).to_be_visible()


def peek(page: Page, server: Server) -> None:
    answer(page, server)
    page.locator(".marker").first.hover()
    expect(page.get_by_role("tooltip")).to_be_visible()


def refusal(page: Page, server: Server) -> None:
    welcome(page, server)
    ask(page, "What is the boiling point of tungsten on Jupiter?")
    expect(last_exchange(page).locator(".sources, .note").first).to_be_visible()


def writing(page: Page, server: Server) -> None:
    welcome(page, server)
    ask(page, "How many days of annual leave do employees get?")
    expect(last_exchange(page).locator(".streaming")).to_be_visible()


def offline(page: Page, server: Server) -> None:
    welcome(page, server)
    page.context.set_offline(True)
    ask(page, QUESTION)
    expect(page.locator(".trouble")).to_be_visible()


def wrong_key(page: Page, server: Server) -> None:
    page.goto(server.url + "/")
    page.get_by_label("This service asks for a key").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#key-trouble")).to_be_visible()


def memory(page: Page, server: Server) -> None:
    page.goto(server.url + "/memory")
    for _ in range(8):
        with page.expect_response("**/memory/stats"):
            server.ask(QUESTION)
    expect(page.locator("#processes tr").first).to_be_visible()


def opened(path: str) -> Callable[[Page, Server], None]:
    """Open a page that needs nothing more."""

    def reach(page: Page, server: Server) -> None:
        page.goto(server.url + path, wait_until="networkidle")

    return reach


@dataclass(frozen=True)
class State:
    """What a picture shows.

    Args:
        settings: names the server it comes from: plain, llm or keyed.
    """

    reach: Callable[[Page, Server], None]
    size: dict[str, int]
    scheme: str = "light"
    settings: str = "plain"


STATES = {
    "chat": State(source, DESK),
    "memory": State(memory, DESK, "dark"),
    "welcome": State(welcome, DESK),
    "answer": State(answer, DESK),
    "dark": State(source, DESK, "dark"),
    "peek": State(peek, DESK),
    "refusal": State(refusal, DESK),
    "offline": State(offline, DESK),
    "phone": State(answer, PHONE),
    "phone-source": State(source, PHONE, "dark"),
    "phone-memory": State(memory, PHONE),
    "zoomed": State(answer, ZOOMED),
    "documents": State(opened("/documents"), DESK),
    "search": State(opened("/documents?q=annual+leave"), DESK),
    "document": State(opened("/documents/people/annual-leave.md?start=190&end=700"), DESK),
    "api": State(opened("/docs"), DESK),
    "not-found": State(opened("/nothing-here"), DESK),
    "written": State(answer, DESK, settings="llm"),
    "writing": State(writing, DESK, settings="llm"),
    "wrong-key": State(wrong_key, DESK, settings="keyed"),
    "documents-key": State(opened("/documents"), DESK, settings="keyed"),
}
IN_REPOSITORY = ("chat", "memory")


def main() -> None:
    """Write two pictures beside this file, or all of them into the folder named."""
    folder, names = (Path(sys.argv[1]), tuple(STATES)) if len(sys.argv) > 1 else (HERE, IN_REPOSITORY)
    folder.mkdir(parents=True, exist_ok=True)
    path, reason = find_chromium()
    if not path:
        sys.exit(f"No screenshots: {reason}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        for settings in sorted({STATES[name].settings for name in names}):
            with serving(settings) as server:
                for name in (name for name in names if STATES[name].settings == settings):
                    take(browser, server, STATES[name], folder / f"{name}.png")
        browser.close()


@contextmanager
def serving(settings: str) -> Iterator[Server]:
    """Run the server that a state needs; its LLM writes one answer, and never ends the second."""
    never = Event()
    unfinished = Reply(headers=SSE, body=[event("A full-time employee has **27 days** [1] of paid"), never])
    with serve_llm(streamed(MARKDOWN), unfinished) as llm:
        environment = {
            "plain": {},
            "llm": {"LLM_API_KEY": "sk-test", "LLM_BASE_URL": llm.url},
            "keyed": {"API_KEY": "open-sesame"},
        }[settings]
        with run_server({"MAX_REQUESTS": "0", **environment}) as server:
            yield server
            never.set()


def take(browser: Browser, server: Server, state: State, path: Path) -> None:
    """Bring a page into a state and take its picture."""
    context = browser.new_context(viewport=state.size, color_scheme=state.scheme)  # type: ignore[arg-type]
    page = context.new_page()
    state.reach(page, server)
    page.screenshot(path=path)
    context.close()


if __name__ == "__main__":
    main()
