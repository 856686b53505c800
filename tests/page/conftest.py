"""A real Chromium, driven by Playwright, and the servers that its pages come from.

Chromium is Debian's. Where it is missing it is installed, if this process may; where it cannot be
had, these tests skip.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Playwright, expect, sync_playwright

from tests.conftest import Server
from tests.llm_server import LLMServer, serve_llm, streamed

NAMES = ("chromium", "chromium-browser", "google-chrome")
# The container's own sandbox is the boundary; nothing but the page under test may be asked for.
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
INSTALL = "apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium"
BY_BROWSER = "Failed to load resource"

expect.set_options(timeout=20_000)


@lru_cache(maxsize=1)
def find_chromium() -> tuple[str | None, str]:
    """Return the path of a Chromium, installing it if need be, or the reason why there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found:
        return found, ""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return None, "no Chromium here, and only root on Debian may install it: apt-get install chromium"
    done = subprocess.run(INSTALL, shell=True, capture_output=True, text=True)
    return shutil.which("chromium"), f"apt-get could not install Chromium: {(done.stderr or 'unknown')[-300:]}"


@dataclass
class Watch:
    """What a page did out of sight: its console, its errors, the hosts it asked.

    Args:
        expects_failures: whether the browser may note failed requests, where a test provokes them.
    """

    expects_failures: bool = False
    messages: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)

    def follow(self, page: Page) -> None:
        page.on("console", lambda message: self.messages.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.messages.append(f"pageerror: {error}"))
        page.on("request", lambda request: self.addresses.append(request.url))

    @property
    def complaints(self) -> list[str]:
        return [text for text in self.messages if not (self.expects_failures and BY_BROWSER in text)]


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="package")
def browser(playwright: Playwright) -> Iterator[Browser]:
    path, reason = find_chromium()
    if not path:
        pytest.skip(reason)
    browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
    yield browser
    browser.close()


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Every test ends with a clean console and with no request to another host."""
    watch = Watch()
    yield watch
    assert watch.complaints == []
    assert {address.split("/")[2].split(":")[0] for address in watch.addresses} <= {"127.0.0.1"}


@pytest.fixture
def new_context(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    contexts: list[BrowserContext] = []

    def make(**options: Any) -> BrowserContext:
        contexts.append(browser.new_context(**options))
        return contexts[-1]

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def page(new_context: Callable[..., BrowserContext], watch: Watch) -> Page:
    """A fresh browser window of a desk's size."""
    page = new_context(viewport={"width": 1280, "height": 800}).new_page()
    watch.follow(page)
    return page


@pytest.fixture
def llm() -> Iterator[LLMServer]:
    """An LLM that a test gives its script."""
    with serve_llm(streamed("Nothing was scripted.")) as server:
        yield server


def llm_settings(llm: LLMServer) -> dict[str, str]:
    return {"LLM_API_KEY": "sk-test", "LLM_BASE_URL": llm.url, "MAX_REQUESTS": "0"}


def open_chat(page: Page, server: Server) -> None:
    page.goto(server.url + "/")
    expect(page.locator("#status")).to_contain_text("Ready: ")


def ask(page: Page, question: str) -> None:
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")


def last_exchange(page: Page) -> Any:
    return page.locator(".exchange").last


def words(text: str) -> str:
    """What is read of it: a text and what is drawn from it differ in blanks and signs of markup."""
    return "".join(character for character in text if character.isalnum())


def words_of_marks(place: Page | Locator) -> str:
    """The cited passage, which a page draws as one mark for each piece of text."""
    return words("".join(place.locator("mark").all_inner_texts()))
