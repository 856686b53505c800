"""What a dialect writes before Markdown reads it, at its edges."""

from src.ingestion.parsers.dialects import plain_markdown
from src.ingestion.parsers.text import parse_markdown


def test_note_may_be_indented_by_a_tab() -> None:
    """As MkDocs reads it; four blanks and a tab are the same."""
    blanks, tab = (parse_markdown(f"# T\n\n!!! note\n{indent}Keep the key.\n".encode()) for indent in ("    ", "\t"))
    assert "```" not in tab.text
    assert tab.text == blanks.text


def test_code_that_nobody_closed_keeps_its_last_line() -> None:
    """A file may end inside a block of code."""
    assert "b = 2" in parse_markdown(b"# T\n\n```{code-block} python\na = 1\nb = 2").text


def test_heading_without_its_blank_is_a_heading() -> None:
    """Older Markdown wrote `##Equity`; a channel, a number and a comment in code are none."""
    source = "##Equity\n\n#help is a channel, #1 a number.\n\n```\n#Comment\n```\n"
    assert plain_markdown(source) == source.replace("##Equity", "## Equity")
