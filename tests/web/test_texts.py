"""That the words of the pages stand in texts.json, and nowhere else."""

import json
import re
from collections.abc import Iterator
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from src.app_factory import create_app
from src.config import Config
from src.web import pages
from tests.conftest import ROOMY, ROOT

WEB = ROOT / "src" / "web"
TEMPLATES = sorted((WEB / "templates").glob("*.html"))
SCRIPTS = sorted((WEB / "static").glob("*.js"))
TEXTS: dict[str, str] = json.loads((WEB / "texts.json").read_text(encoding="utf-8"))
READ_ALOUD = {"alt", "aria-label", "placeholder", "title"}
JINJA = re.compile(r"\{\{(.*?)\}\}|\{%(.*?)%\}", re.DOTALL)
LITERAL = re.compile(r'(class: )?(?:"((?:[^"\\\n]|\\.)*)"|`([^`\n]*)`)')
# A word with a capital, two words, a word beside a value that is put in, or the end of a sentence.
PROSE = re.compile(r"[A-Z][a-z]|[a-z] +[a-z]|\w{2,} $|^ [A-Za-z]{2,}|[a-z][:,] |[a-z] ?[….!?]$")
# Names of the browser's, and selectors.
NAMES = {
    "AbortError", "ArrowUp", "Bearer ", "Content-Type", "Enter", "Escape", "Retry-After", "viewBox",
    "(min-width: 62rem)", ".cut, button", "input, textarea",
}  # fmt: skip
BROWSER = {"Accept": "text/html"}


class Words(HTMLParser):
    """Collects what a person reads or hears: text, and the attributes that are read aloud."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attributes if name in READ_ALOUD and value]

    def handle_data(self, data: str) -> None:
        self.found.append(data)


def words_of(html: str) -> list[str]:
    parser = Words()
    parser.feed(html)
    return [text.strip() for text in parser.found if re.search(r"[^\W\d_]", text)]


def literals(script: str) -> Iterator[str]:
    code = re.sub(r"^\s*//.*", "", script, flags=re.MULTILINE)
    for match in LITERAL.finditer(code):
        if not match[1]:
            yield re.sub(r"\$\{.*?\}+", "", match[2] or match[3] or "")


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_template_holds_no_words(path: Path) -> None:
    """Its text and labels are what Jinja puts in; addresses of the service are no words."""
    source = re.sub(r"(?<=block body_class %})\w+", "", path.read_text())
    assert [word for word in words_of(JINJA.sub("", source)) if not word.startswith("/")] == []
    code = " ".join("".join(part) for part in JINJA.findall(source))
    assert [text for text in re.findall(r'"([^"]*)"', code) if PROSE.search(text)] == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_script_holds_no_words(path: Path) -> None:
    """No literal in it reads like prose, but for names of the browser's."""
    assert {text for text in literals(path.read_text()) if PROSE.search(text)} - NAMES == set()


def test_every_text_is_used_and_every_used_text_is_there() -> None:
    """A translation has no line too many and none too few."""
    templates = "".join(path.read_text() for path in TEMPLATES)
    scripts = "".join(path.read_text() for path in SCRIPTS)
    asked = {*re.findall(r'(?<!")\btexts\.(\w+)', templates), *re.findall(r'\btext\("(\w+)"', scripts)}
    assert asked - set(TEXTS) == set()
    code = scripts + (WEB / "error_handlers.py").read_text()
    assert {key for key in set(TEXTS) - asked if f'"{key}"' not in code} == set()
    # Jinja's `texts.copy` would be the method.
    assert set(TEXTS) & set(dir(dict)) == set()


def test_translated_file_is_what_the_pages_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another file gives other pages: their language, labels and words, with the values in their places, escaped."""
    translated = tmp_path / "texts.json"
    signs = {key: " ".join([f"<{number}>", *re.findall(r"\{\w+\}", TEXTS[key])]) for number, key in enumerate(TEXTS)}
    translated.write_text(json.dumps({**signs, "lang": "de"}))
    monkeypatch.setattr(pages, "TEXTS", translated)
    pages.get_texts.cache_clear()
    try:
        client = create_app(Config.from_env({**ROOMY, "APP_NAME": "512"})).test_client()
        memory, missing = (client.get(path, headers=BROWSER).text for path in ("/memory", "/nothing"))
    finally:
        pages.get_texts.cache_clear()
    assert '<html lang="de">' in memory
    without_texts = re.sub(r'(id="texts">).*', r"\1</script>", memory)
    assert [word for word in words_of(without_texts) if not word.startswith("/")] == []
    assert f"<h1>{escape(signs['not_here'])}</h1>" in missing
    assert re.search(r"&lt;\d+&gt; 404 [0-9a-f]+", missing)
