"""Makes the pictures of the page: `python -m docs.screenshots.make [folder]`; the README shows two of them.

It runs the real server on the committed index.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks.running_server import Server, run_server
from tests.page.conftest import ARGUMENTS, ask, find_chromium, last_exchange, open_chat

HERE = Path(__file__).parent
QUESTION = "How many days of annual leave do employees get?"
DESK = {"width": 1040, "height": 620}
PHONE = {"width": 360, "height": 740}


def welcome(page: Page, server: Server) -> None:
    open_chat(page, server)
    expect(page.locator("#suggestions li")).to_have_count(4)


def answer(page: Page, server: Server) -> None:
    welcome(page, server)
    ask(page, QUESTION)
    expect(last_exchange(page).locator(".marker").first).to_be_visible()


def source(page: Page, server: Server) -> None:
    answer(page, server)
    page.locator(".marker").first.click()
    expect(page.locator("#reader mark")).to_be_visible()


def memory(page: Page, server: Server) -> None:
    page.goto(server.url + "/memory")
    for _ in range(8):
        with page.expect_response("**/memory/stats"):
            server.ask(QUESTION)
    expect(page.locator("#processes tr").first).to_be_visible()


STATES: dict[str, tuple[Callable[[Page, Server], None], dict[str, int], str]] = {
    "chat": (source, DESK, "light"),
    "memory": (memory, DESK, "dark"),
    "welcome": (welcome, DESK, "light"),
    "dark": (source, DESK, "dark"),
    "phone": (answer, PHONE, "light"),
    "phone-source": (source, PHONE, "dark"),
}
IN_REPOSITORY = ("chat", "memory")


def main() -> None:
    """Write two pictures beside this file, or all of them into the folder named."""
    folder, names = (Path(sys.argv[1]), tuple(STATES)) if len(sys.argv) > 1 else (HERE, IN_REPOSITORY)
    folder.mkdir(parents=True, exist_ok=True)
    path, reason = find_chromium()
    if not path:
        sys.exit(f"No screenshots: {reason}")
    with (
        run_server({"MAX_REQUESTS": "0"}) as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        for name in names:
            take(browser, server, name, folder / f"{name}.png")
        browser.close()


def take(browser: Browser, server: Server, name: str, path: Path) -> None:
    """Bring a page into a state and take its picture."""
    reach, size, scheme = STATES[name]
    context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    reach(page, server)
    page.screenshot(path=path)
    context.close()


if __name__ == "__main__":
    main()
