"""The states that appear only in use, as the screenshots reach them: axe finds nothing serious."""

import pytest
from playwright.sync_api import Browser

from docs.screenshots.make import STATES, serving
from tests.conftest import corpus_places
from tests.page.test_appearance import serious_violations

# The others are checked in test_appearance.py.
IN_USE = {"peek", "refusal", "offline", "zoomed", "written", "writing", "wrong-key"}
SETTINGS = sorted({STATES[name].settings for name in IN_USE})


@pytest.mark.parametrize("settings", SETTINGS)
def test_state_can_be_reached_and_has_no_serious_violation(
    browser: Browser, settings: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one command for all the pictures works, too."""
    for name, value in corpus_places().items():
        monkeypatch.setenv(name, value)
    with serving(settings) as server:
        for name in [name for name in STATES if name in IN_USE and STATES[name].settings == settings]:
            state = STATES[name]
            context = browser.new_context(viewport=state.size, color_scheme=state.scheme)  # type: ignore[arg-type]
            page = context.new_page()
            state.reach(page, server)
            assert serious_violations(page) == [], name
            context.close()
