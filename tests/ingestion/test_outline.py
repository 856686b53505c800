"""Headings are found where Markdown has them, with their words and without their marks."""

from src.ingestion.outline import Outline


def test_headings_carry_level_words_and_whole_lines() -> None:
    """Both ways of writing a heading; `#` in code, lists and quotations is none."""
    text = (
        "# One *two* [three](x) `four`\n\n```\n# code\n```\n> # quoted\n\n- # item\n\n"
        "Under\nlined\n---\n\n    # code\n### Last {: .x}"
    )
    found = [
        (heading.level, heading.title, text[heading.start : heading.end]) for heading in Outline.parse(text).headings()
    ]
    assert found == [
        (1, "One two three four", "# One *two* [three](x) `four`\n"),
        (2, "Under lined", "Under\nlined\n---\n"),
        (3, "Last", "### Last {: .x}"),
    ]
