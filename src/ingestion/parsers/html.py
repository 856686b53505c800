"""HTML: the main content as Markdown, without navigation."""

import re
import warnings
from typing import TYPE_CHECKING

from src.errors import UnreadableDocument
from src.ingestion.parsers.parsed import Parsed, tidy

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

_CLUTTER = (
    "nav, header, footer, aside, script, style, noscript, template, form, svg, iframe, button, "
    "[role=navigation], [role=banner], [role=contentinfo], [role=search], [aria-hidden=true], [hidden], a.headerlink"
)
_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+\n")


def parse_html(markup: bytes | str) -> Parsed:
    """Turn HTML into Markdown; links and images leave their words, addresses go.

    The text is that of `<main>` or `<article>` where there is one; the title is `<title>` or the first `<h1>`.

    Raises:
        UnreadableDocument: the markup is nested too deeply.
    """
    from bs4 import BeautifulSoup, MarkupResemblesLocatorWarning, ParserRejectedMarkup, XMLParsedAsHTMLWarning
    from markdownify import MarkdownConverter

    converter = MarkdownConverter(
        heading_style="ATX",
        bullets="-",
        strip=["a", "img"],
        table_infer_header=True,
        escape_asterisks=False,
        escape_underscores=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)
        warnings.simplefilter("ignore", MarkupResemblesLocatorWarning)
        try:
            soup = BeautifulSoup(markup, "lxml")
            title = _words(soup.title)
            main = _main_content(soup)
            heading = _words(main.find("h1"))
            text = tidy(converter.convert_soup(main))
        except (RecursionError, ParserRejectedMarkup, AssertionError) as exc:
            raise UnreadableDocument(f"its HTML cannot be parsed ({type(exc).__name__})") from exc
    lines = "\n".join(line.rstrip() for line in text.split("\n"))
    # a page's <title> is often its heading with the site's name after it
    if heading and (not title or heading in title):
        title = heading
    return Parsed(_BLANK_LINES.sub("\n\n", lines).strip() + "\n", title)


def _words(element: "Tag | None") -> str:
    return " ".join(element.get_text(" ").split()) if element else ""


def _main_content(soup: "BeautifulSoup") -> "Tag":
    main: Tag = soup.select_one("main, [role=main]") or soup
    articles = main.find_all("article")
    if len(articles) == 1:
        main = articles[0]
    elif main is soup:
        main = soup.body or soup
    for element in main.select(_CLUTTER):
        if not (element.name == "header" and element.find("h1")):
            element.decompose()
    for element in main.find_all("title"):
        element.decompose()
    for table in main.find_all("table"):
        if _is_layout(table):
            _unwrap_layout(table)
        else:
            _unwrap_bold_headers(table)
    return main


def _is_layout(table: "Tag") -> bool:
    """Whether a table only places things, as in most e-mail: it holds another one, or has a single column."""
    has_columns = any(len(row.find_all(["td", "th"], recursive=False)) > 1 for row in table.find_all("tr"))
    return bool(table.find("table")) or table.get("role") == "presentation" or not has_columns


def _unwrap_layout(table: "Tag") -> None:
    """Make blocks of a table."""
    parts = table.find_all(["tbody", "thead", "tr", "td", "th"])
    for element in [table, *(part for part in parts if part.find_parent("table") is table)]:
        element.name = "div"


def _unwrap_bold_headers(table: "Tag") -> None:
    """Leave the names of the columns without marks: a quoted row repeats them."""
    first_row = table.find("tr")
    for cell in [*table.find_all("th"), *(first_row.find_all("td") if first_row else [])]:
        for mark in cell.find_all(["strong", "b", "em", "i"]):
            mark.unwrap()
