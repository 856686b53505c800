"""Documentation written for a generator of sites reads as its author meant it."""

from pathlib import Path

import pytest

from src.ingestion.loader import load_document
from src.ingestion.parsers.rst import parse_rst
from src.records import Document

TREES = Path(__file__).parent / "trees"


@pytest.mark.parametrize("page", ["hugo/posting.md", "docusaurus/install.mdx", "sphinx/guide.md"])
def test_page_reads_as_its_author_meant_it(page: str) -> None:
    """Shortcodes, JSX, directives, roles, attributes and badges go; words, lists, tables and code stay."""
    document = load_document(TREES, page)
    assert isinstance(document, Document)
    assert document.text == (TREES / page).with_suffix(".txt").read_text(encoding="utf-8")


def test_links_are_kept_beside_the_text() -> None:
    """What leads to a file of the folder is its path; a template's reference is one too."""
    for page, expected in (("hugo/posting.md", ("the limits", "hugo/limits.md")),
                           ("docusaurus/install.mdx", ("requirements", "docusaurus/requirements.md"))):  # fmt: skip
        document = load_document(TREES, page)
        assert isinstance(document, Document)
        assert expected in [(document.text[start:end], target) for start, end, target in document.links]


def test_restructured_text_keeps_code_and_drops_marks() -> None:
    """Roles, substitutions, footnotes and figures leave their words."""
    text = parse_rst((TREES / "sphinx" / "api.rst").read_bytes()).text
    assert "Runs `n` times, see the guide" in text
    assert "Counts from `0`." in text
    assert "| Name | Bytes |\n| --- | --- |\n| a\\|b | `2` |" in text
    assert not [sign for sign in (":ref:", "|name|", "[#", "::", "_ ", "<guide>") if sign in text]
