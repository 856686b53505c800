"""Makes clean Markdown of Markdown source: the one form in which every parser gives structured text.

Clean Markdown has `#` headings, `-` and `1.` lists, tables with their rule line, fenced code and paragraphs. A
paragraph is one line, but for the breaks its author set. Text is literal: it holds no links, images, emphasis, tags or
entities. Code in a line keeps its backticks, so that its own signs do not read as markup. Where a link leads is kept
beside the text.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from src.ingestion.parsers.markup import html_to_markdown, whole_content
from src.ingestion.parsers.parsed import Link, Parsed

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token
    from markdown_it.tree import SyntaxTreeNode

MAX_NESTING = 40
# Signs that `tidy` lets into no text: a link's beginning with its number, and its end.
_LINK_OPEN, _NUMBER_END, _LINK_END = "\ufdd0", "\ufdd1", "\ufdd2"
_LINK_SIGN = re.compile(f"{_LINK_OPEN}(\\d+){_NUMBER_END}|{_LINK_END}")
# In the same way: where raised text begins and ends. A number after a letter or a digit is a power.
_RAISED, _LOWERED = "\ufdd3", "\ufdd4"
_POWER = re.compile(f"(?<=[^\\W_]){_RAISED}(?=[+\\-\u2212\u2013]?\\d+{_LOWERED})")
_RAISED_SIGN = re.compile(f"{_RAISED}|{_LOWERED}")
_WHOLE_LINK = re.compile(f"{_LINK_OPEN}\\d+{_NUMBER_END}[^{_LINK_END}]*{_LINK_END}\\W*")
_ANCHOR = re.compile(f"{_LINK_OPEN}\\d+{_NUMBER_END}[¶#§🔗\\s]*{_LINK_END}")
_TAG = re.compile(r"<(/?)([A-Za-z][\w-]*)[^>]*>")
_HREF = re.compile(r"""\bhref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+))""", re.IGNORECASE)
_CODE_TAGS = frozenset({"code", "kbd", "samp", "tt"})
_BLANKS = re.compile(r"[ \t\n]+")
_LINE = re.compile(r"[ \t]*\n[ \t]*")
_TASK = re.compile(r"\[[ xX]\][ \t]+")
_DIRECTIONS = re.compile(
    r"(?:edit|improve|view|suggest)\b.*\b(?:page|github|source|edits?)|(?:back|return) to (?:the )?top"
    r"|skip to (?:main |the )?content|(?:next|previous)(?: page)?|[«»←→‹›<>]+",
    re.IGNORECASE,
)
_CONTENTS = re.compile(r"#+ (?:table of )?contents|#+ (?:on|in) this page|\[?toc\]?|\[\[_?toc_?\]\]", re.IGNORECASE)
# These scripts put no blank between words, so none stands for the end of a line.
_NO_BLANKS = "\u2e80-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef\u0e00-\u0e7f"
_WIDE_BREAK = re.compile(f"(?<=[{_NO_BLANKS}])\r(?=[{_NO_BLANKS}])")


def clean_markdown(source: str, title: str = "") -> Parsed:
    """Turn tidy Markdown source, with or without HTML in it, into clean Markdown under a title."""
    return replace(_Writer().write(source), title=title)


def find_indented_code(source: str) -> list[tuple[int, int]]:
    """Return where each block of code without a fence begins and ends."""
    tokens: list[Token] = []
    _parser().block.parse(source, _parser(), {}, tokens)
    lines = [0, *(end.end() for end in re.finditer("\n", source)), len(source)]
    return [(lines[token.map[0]], lines[token.map[1]]) for token in tokens if token.type == "code_block" and token.map]


@lru_cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"maxNesting": MAX_NESTING}).enable(["table", "strikethrough"])


def _parse(source: str) -> "SyntaxTreeNode":
    from markdown_it.tree import SyntaxTreeNode

    return SyntaxTreeNode(_parser().parse(source))


class _Writer:
    """Writes the blocks of a text; signs stand for its links until all of it is written."""

    def __init__(self) -> None:
        self._hrefs: list[str] = []

    def write(self, source: str) -> Parsed:
        """Write Markdown source anew, and make spans of the signs."""
        text, *rest = _LINK_SIGN.split("\n\n".join(self._blocks(_parse(source))))
        links: list[Link] = []
        opened: tuple[int, str] | None = None
        for number, words in zip(rest[::2], rest[1::2], strict=True):
            if number:
                opened = len(text), self._hrefs[int(number)]
            elif opened:
                start, href = opened
                if text[start:].strip():
                    links.append((start, len(text), href))
                opened = None
            text += words
        return Parsed(text + "\n" if text else "", links=tuple(links))

    def _blocks(self, parent: "SyntaxTreeNode") -> Iterator[str]:
        heading = ""
        for node in parent.children:
            if node.type.endswith("_list") and self._is_contents(node):
                heading = ""
                continue
            for block in self._block(node):
                if heading:
                    yield heading
                heading = block if _CONTENTS.fullmatch(block) else ""
                if block and not heading:
                    yield block

    def _block(self, node: "SyntaxTreeNode") -> Iterator[str]:
        if node.type == "heading":
            title = _BLANKS.sub(" ", self._inline(node))
            if title:
                yield f"{node.markup if node.markup[0] == '#' else '#' * int(node.tag[1])} {title}"
        elif node.type == "paragraph":
            text = self._inline(node)
            if not (_WHOLE_LINK.fullmatch(text) and _DIRECTIONS.fullmatch(_LINK_SIGN.sub("", text).strip())):
                yield text
        elif node.type in ("bullet_list", "ordered_list"):
            items = [self._item(item) for item in node.children]
            yield "\n".join(item for item in items if item)
        elif node.type in ("fence", "code_block"):
            yield _fence(node.content, node.info)
        elif node.type == "table":
            yield self._table(node)
        elif node.type == "html_block":
            yield from self._html(node.content)
        elif node.type != "hr":
            yield from self._blocks(node)

    def _item(self, node: "SyntaxTreeNode") -> str:
        mark = f"{node.info}. " if node.info else "- "
        blocks = list(self._blocks(node))
        if not blocks:
            return ""
        text = _TASK.sub("", blocks[0], count=1) if _TASK.match(blocks[0]) else blocks[0]
        for block in blocks[1:]:
            is_list = re.match(r"(?:-|\d+\.) ", block)
            text += ("\n" if is_list else "\n\n") + block
        indent = " " * len(mark)
        return mark + "\n".join(indent + line if line else "" for line in text.split("\n"))[len(mark) :]

    def _table(self, node: "SyntaxTreeNode") -> str:
        rows = [
            [_BLANKS.sub(" ", self._inline(cell)).replace("|", "\\|") for cell in row.children]
            for part in node.children
            for row in part.children
        ]
        if not any(cell for row in rows for cell in row):
            return ""
        lines = [f"| {' | '.join(row)} |" for row in rows if any(row) or row is rows[0]]
        return "\n".join([lines[0], f"|{' --- |' * len(rows[0])}", *lines[1:]])

    def _html(self, markup: str) -> Iterator[str]:
        if re.sub(r"<!--.*?-->|<[^>]*>", "", markup, flags=re.DOTALL).strip():
            source, _ = html_to_markdown(markup, whole_content)
            yield from self._blocks(_parse(source))

    def _inline(self, node: "SyntaxTreeNode") -> str:
        tokens = [token for child in node.to_tokens() for token in child.children or ()]
        text = _RAISED_SIGN.sub("", _POWER.sub("^", "".join(map(self._word, tokens)))).strip("\r\n\t ")
        text = _ANCHOR.sub("", _WIDE_BREAK.sub("", text)).replace("\r", " ")
        return _LINE.sub("\n", re.sub(r"[ \t]+", " ", text)).strip()

    def _word(self, token: "Token") -> str:
        if token.type == "text":
            return token.content
        if token.type == "code_inline":
            fence = "``" if "`" in token.content else "`"
            return f"{fence}{token.content}{fence}"
        if token.type in ("softbreak", "hardbreak"):
            return "\r" if token.type == "softbreak" else "\n"
        if token.type == "link_open":
            return self._open_link(str(token.attrs["href"]))
        if token.type == "link_close":
            return _LINK_END
        return self._tag(token.content) if token.type == "html_inline" else ""

    def _tag(self, markup: str) -> str:
        tag = _TAG.match(markup)
        name = tag[2].lower() if tag else ""
        if name == "a" and tag and not tag[1]:
            href = _HREF.search(markup)
            return self._open_link((href[1] or href[2] or href[3] or "") if href else "")
        if name == "sup" and tag:
            return _LOWERED if tag[1] else _RAISED
        return "\n" if name == "br" else "`" if name in _CODE_TAGS else _LINK_END if name == "a" else ""

    def _open_link(self, href: str) -> str:
        self._hrefs.append(href)
        return f"{_LINK_OPEN}{len(self._hrefs) - 1}{_NUMBER_END}"

    def _is_contents(self, node: "SyntaxTreeNode") -> bool:
        """Tell a list of contents: all its items are links into the same page."""
        found = 0
        for part in node.walk():
            if part.type == "inline":
                words = [child for child in part.children if child.type != "text" or child.content.strip()]
                if [child.type for child in words] != ["link"] or not str(words[0].attrs["href"]).startswith("#"):
                    return False
                found += 1
            elif part.type in ("fence", "code_block", "html_block", "table"):
                return False
        return found > 1


def _fence(code: str, info: str) -> str:
    body = code.rstrip().lstrip("\n")
    longest = max(map(len, re.findall("`+", body)), default=0)
    mark = "`" * max(3, longest + 1)
    language = re.match(r"[\w+#.-]*", info.strip())
    return f"{mark}{language[0] if language else ''}\n{body}\n{mark}" if body else ""
