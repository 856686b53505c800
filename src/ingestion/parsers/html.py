"""HTML: the main content of a page as clean Markdown, without navigation."""

from src.ingestion.parsers.markdown import clean_markdown
from src.ingestion.parsers.markup import html_to_markdown, main_content, whole_content
from src.ingestion.parsers.parsed import Parsed


def parse_html(markup: bytes | str) -> Parsed:
    """Parse a page; the title is `<title>` or the first `<h1>`.

    Raises:
        UnreadableDocument: the markup is nested too deeply.
    """
    return clean_markdown(*html_to_markdown(markup, main_content))


def parse_fragment(markup: bytes | str) -> Parsed:
    """Parse HTML that is all content, such as a book's chapter.

    Raises:
        UnreadableDocument: the markup is nested too deeply.
    """
    return clean_markdown(*html_to_markdown(markup, whole_content))
