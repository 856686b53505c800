"""HTML to Markdown source: the main content of a page, without navigation."""

import re
import warnings
from collections.abc import Callable
from copy import copy
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from src.errors import UnreadableDocument
from src.ingestion.parsers.html_tables import columns_of, fill_spanned_cells
from src.ingestion.parsers.parsed import tidy

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

_HEADINGS = "h1, h2, h3, h4, h5, h6"
_TEXT_BLOCKS = f"{_HEADINGS}, p, ul, ol, dl, table, pre, blockquote"
_BLOCKS = f"{_TEXT_BLOCKS}, div, section, article, li, dt, dd, tr, td, th, details"
# Not for people, or a way around: what HTML in a Markdown file, a book or reStructuredText may hold of it, too.
_UNREADABLE = (
    "script, style, noscript, template, svg, iframe, nav, a.headerlink, .footnote-backref, "
    ".toc, #toc, #table-of-contents, .contents.topic, .table-of-contents, .toctree-wrapper, "
    # an icon; the answer of a closed question is hidden, too
    f":is([hidden], [aria-hidden=true]):not({_BLOCKS}, :has({_BLOCKS}))"
)
# What frames every page of a site.
_FRAME = (
    f"header:not(:has(:is({_HEADINGS}):not(nav *))), footer, "
    "aside:not(main *, [role=main] *, article *), aside:has(nav), "
    f"form:not(:has({_TEXT_BLOCKS})) :is(label, legend), form :is(select, textarea, datalist), button, "
    "[role=navigation], [role=banner]:not(header), [role=contentinfo], [role=search], dialog, [role=dialog], "
    "a.anchor, a.hash-link, [class*=breadcrumb i], [class*=edit-this i], [class*=edit-page i], "
    "[class*=edit-on i], [class*=skip-link i], a.md-content__button, .pagination-nav, .navbar, .sidebar, .edit-link"
)
_QUESTIONS = f":is({_HEADINGS}, summary, dt) > button:only-child"
# A single article with less of a page's text is one thing among others, such as a teaser.
_MAIN_SHARE = 0.6
# What may stand in a Markdown link's address; `%` is there already where something was quoted.
_SAFE_IN_HREF = "/:?#[]@!$&'*+,;=%~"
_NUMBER, _LETTERS = re.compile(r"\d+(?:[.,]\d+)*"), re.compile(r"[^\W\d_]+")
_EXPONENT = re.compile(r"[+\-\u2212\u2013]?\d+")
_LANGUAGE = re.compile(r"(?:language|lang|highlight)-([\w+#.]+)")


def html_to_markdown(markup: bytes | str, content_of: "Callable[[BeautifulSoup], Tag]") -> tuple[str, str]:
    """Turn HTML into Markdown source, links and emphasis in it, and find its title: `<title>` or the first `<h1>`.

    Args:
        content_of: `main_content` or `whole_content`.

    Raises:
        UnreadableDocument: the markup is nested too deeply.
    """
    from bs4 import BeautifulSoup, MarkupResemblesLocatorWarning, ParserRejectedMarkup, XMLParsedAsHTMLWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)
        warnings.simplefilter("ignore", MarkupResemblesLocatorWarning)
        try:
            soup = BeautifulSoup(_decode(markup), "lxml")
            title = words_of(soup.title)
            main = content_of(soup)
            _simplify(main)
            heading = words_of(main.find("h1"))
            text = tidy(_converter().convert_soup(main))
        except (RecursionError, ParserRejectedMarkup, AssertionError) as exc:
            raise UnreadableDocument(f"its HTML cannot be parsed ({type(exc).__name__})") from exc
    # a page's <title> is often its heading with the site's name after it
    if heading and (not title or heading in title):
        title = heading
    return text, title


def _decode(markup: bytes | str) -> bytes | str:
    """Decode UTF-8, which no other encoding looks like by chance: bs4 would guess first. The rest is bs4's to tell."""
    if isinstance(markup, str) or markup.isascii() or b"\x00" in markup:
        return markup
    try:
        return markup.decode("utf-8-sig")
    except UnicodeDecodeError:
        return markup


@cache
def _converter() -> Any:
    from markdownify import MarkdownConverter

    class Converter(MarkdownConverter):
        """Writes terms and definitions, which Markdown does not have, as paragraphs, and one head for a table."""

        def convert_dt(self, _element: Any, text: str, parent_tags: Any) -> str:  # noqa: ARG002
            return f"\n\n{text.strip()}\n\n"

        convert_dd = convert_dt

        def convert_tr(self, element: Any, text: str, parent_tags: Any) -> str:  # noqa: ARG002
            table = element.find_parent("table") or element.parent
            if table.find("tr") is not element:
                return f"|{text}\n"
            own, most = columns_of(element), max(map(columns_of, table.find_all("tr")))
            # Markdown drops what stands to the right of the head
            return f"|{text}{'  |' * (most - own)}\n|{' --- |' * max(own, most)}\n"

    return Converter(
        heading_style="ATX",
        bullets="-",
        strip=["img", "b", "strong", "em", "i", "del", "s"],
        table_infer_header=True,
        escape_misc=True,
        code_language_callback=_code_language,
    )


def _code_language(element: Any) -> str:
    """Find the language as highlighters name it: `language-python`, or `highlight-python` on a box around the code."""
    code = element.find("code")
    boxes = [box for box in (code, element, element.parent, element.parent and element.parent.parent) if box]
    names = [name for box in boxes for name in box.get("class") or ()]
    found = (match[1] for name in names if (match := _LANGUAGE.fullmatch(name)))
    return next((name for name in found if name not in ("default", "none", "source")), "")


def words_of(element: "Tag | None") -> str:
    """Return an element's words on one line; none without an element."""
    return " ".join(element.get_text(" ").split()) if element else ""


def whole_content(soup: "BeautifulSoup") -> "Tag":
    """Take all of HTML that is content, such as a book's chapter."""
    _remove(soup, _UNREADABLE)
    return soup.body or soup


def main_content(soup: "BeautifulSoup") -> "Tag":
    """Take a page's `<main>` or `<article>` where there is one, without what frames every page of a site."""
    main: Tag = soup.select_one("main, [role=main]") or soup.body or soup
    articles = main.find_all("article")
    heading = main.find("h1")
    if len(articles) == 1 and heading and articles[0] in heading.parents:
        main = articles[0]
    _remove(main, _UNREADABLE)
    for button in main.select(_QUESTIONS):
        if button.parent and not "".join(button.parent.find_all(string=True, recursive=False)).strip():
            button.name = "span"
    _remove(main, _FRAME)
    articles = main.find_all("article")
    if len(articles) == 1 and len(words_of(articles[0])) >= _MAIN_SHARE * len(words_of(main)):
        return articles[0]
    return main


def _remove(root: "Tag", selector: str) -> None:
    for element in root.select(selector):
        element.decompose()


def _simplify(main: "Tag") -> None:
    """Say in plainer HTML what markdownify would not write as it is meant."""
    _remove(main, "title")
    for element in main.select("span.literal, tt"):  # as docutils marks code
        element.name = "code"
    for element in main.find_all(["header", "footer", "aside", "form", "summary"]):
        element.name = "div"
    for element in main.select("a[href]"):
        element["href"] = quote(str(element["href"]).strip(), safe=_SAFE_IN_HREF)
    for element in main.find_all("sup"):
        before = element.previous_sibling
        if before and _is_power(element) and before.get_text()[-1:].isalnum():
            element.insert_before("^")
    for table in main.find_all("table"):
        if _is_layout(table):
            _unwrap_layout(table)
            continue
        fill_spanned_cells(table)
        if _begins_with_data(table):
            _add_empty_head(table)


def _is_power(raised: "Tag") -> bool:
    """Whether a raised text is a number, and not a link: that is a footnote."""
    return bool(_EXPONENT.fullmatch((raised.string or "").strip())) and not raised.find("a")


def _is_layout(table: "Tag") -> bool:
    """Whether a table only places things, as in most e-mail: it holds another one, or has a single column."""
    has_columns = any(len(row.find_all(["td", "th"], recursive=False)) > 1 for row in table.find_all("tr"))
    return bool(table.find("table")) or table.get("role") == "presentation" or not has_columns


def _begins_with_data(table: "Tag") -> bool:
    """Whether a first row that is not marked as the head is one like the others: a number stands in it as in them."""
    if table.find(["th", "thead"]):
        return False
    rows = [[_NUMBER.sub("9", words_of(cell)) for cell in row.find_all("td")] for row in table.find_all("tr")]
    return any(_are_alike(*column) for column in zip(*rows, strict=False))


def _are_alike(first: str, *others: str) -> bool:
    """Whether most cells are numbers among words as the first is: other words in each, or the same in all of them."""
    shape = _LETTERS.sub("a", first)
    alike = {cell for cell in others if _LETTERS.sub("a", cell) == shape}
    share = sum(cell in alike for cell in others)
    return "9" in shape and 2 * share >= len(others) > 0 and (first in alike or len(alike) > 1)


def _add_empty_head(table: "Tag") -> None:
    """Keep the first row from becoming the head, which every table has in Markdown."""
    row = table.select("tr")[0]
    head = copy(row)
    for cell in head.find_all("td"):
        cell.clear()
        cell.name = "th"
    row.insert_before(head)


def _unwrap_layout(table: "Tag") -> None:
    """Make blocks of a table."""
    parts = table.find_all(["tbody", "thead", "tr", "td", "th"])
    for element in [table, *(part for part in parts if part.find_parent("table") is table)]:
        element.name = "div"
