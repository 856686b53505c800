"""Headings are found where clean Markdown has them, with their words; all other text is literal."""

from src.ingestion.outline import Outline


def test_headings_carry_level_words_and_whole_lines() -> None:
    """`#` in code and lists is none, and no line of signs makes one of the line above."""
    text = "# One [two] `three`\n\n```\n# code\n```\n\n- # item\n\nUnder\nlined\n---\n\n### Last *x*"
    found = [
        (heading.level, heading.title, text[heading.start : heading.end]) for heading in Outline.parse(text).headings()
    ]
    assert found == [(1, "One [two] three", "# One [two] `three`\n"), (3, "Last *x*", "### Last *x*")]
