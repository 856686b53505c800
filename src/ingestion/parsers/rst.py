"""reStructuredText: docutils makes HTML of it; what only Sphinx knows keeps its words.

Files that a document names are not included, and raw HTML is left out: a document is what its own file says.
"""

import re
from textwrap import dedent
from typing import Any

from src.ingestion.parsers.archive import reading
from src.ingestion.parsers.html import parse_fragment
from src.ingestion.parsers.parsed import Parsed, decode

_DIRECTIVE = re.compile(r"\.\. +(?:\|[^|\n]+\| +)?([A-Za-z][\w:+.-]*?)::(?=\s|\Z)")
_ROLE = re.compile(r":([A-Za-z][\w:+.-]*):`|`:([A-Za-z][\w:+.-]*):")
# Their arguments or their lines are not for people; what they hold is taken from elsewhere.
_SILENT = frozenset({"toctree", "index", "highlight", "currentmodule", "module", "py:module", "literalinclude",
                     "py:currentmodule", "automodule", "include", "default-domain", "tabularcolumns"})  # fmt: skip
_CODE = frozenset({"code", "code-block", "sourcecode", "prompt", "doctest", "testcode", "productionlist", "graphviz"})
_VERSIONS = {"versionadded": "New in version", "versionchanged": "Changed in version",
             "deprecated": "Deprecated since version"}  # fmt: skip
_OPTIONS = re.compile(r"(?:\A|\n)\s*:[\w-]+:.*", re.DOTALL)
_FAILED = re.compile(r"(?:\.\. +)?(?:\|[^|\n]+\| +)?([a-z][\w-]*)::(?=\s|\Z)([^\n]*)(?:\n[ \t]+:[\w-]+:[^\n]*)*")
_WORDLESS = frozenset({"image", "contents", "class", "role", "default-role", "meta"})
_ERROR_LEVEL = 3
# docutils looks for a mark's end up to the paragraph's: its time grows with the square of a paragraph's length.
MAX_PARAGRAPH_CHARS = 10_000
_TARGET = re.compile(r"(?s)\A(.*?)\s*<[^<>]+>\Z")
_SETTINGS: dict[str, Any] = {
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "report_level": 5,
    "halt_level": 5,
    "input_encoding": "unicode",
    "_disable_config": True,
    "initial_header_level": 2,
    "math_output": "LaTeX",
    "syntax_highlight": "none",
    "line_length_limit": 100_000_000,  # a document with a longer line than its 10,000 would be an error without text
}


def parse_rst(data: bytes) -> Parsed:
    """Parse a document.

    Raises:
        UnreadableDocument: docutils cannot parse it.
    """
    from docutils.core import publish_parts

    text = decode(data)
    _register_unknown(text)
    with reading(".rst"):
        html = publish_parts(text, parser=_parser(), writer="html5", settings_overrides=_SETTINGS)["html_body"]
    return parse_fragment(html)


def _parser() -> Any:
    """Put the source of what docutils calls an error in its place: its writer would leave it out."""
    from docutils import nodes
    from docutils.parsers.rst import Parser

    class KeepingParser(Parser):  # type: ignore[misc]
        def parse(self, inputstring: str, document: Any) -> None:
            super().parse(inputstring, document)
            for message in list(document.findall(nodes.system_message)):
                if message["level"] >= _ERROR_LEVEL and isinstance(message[-1], nodes.literal_block):
                    words = _words_of_failed(message[-1].astext())
                    message.parent.replace(message, [nodes.literal_block(words, words)] if words else [])

    return KeepingParser(inliner=_inliner())


def _words_of_failed(source: str) -> str:
    """Take a directive's name and options off its argument and content."""
    failed = _FAILED.match(source)
    if not failed:
        return source
    if failed[1] in _WORDLESS:
        return ""
    argument = "" if failed[1] == "figure" else failed[2].strip()
    return f"{argument}\n\n{dedent(source[failed.end() :]).strip()}".strip()


def _inliner() -> Any:
    """Take a paragraph that is too long for prose as it is."""
    from docutils import nodes
    from docutils.parsers.rst.states import Inliner

    inliner = Inliner()  # it looks for its patterns in its own class only, so a class of ours could not inherit them
    read = inliner.parse
    inliner.parse = lambda text, *context: (
        read(text, *context) if len(text) <= MAX_PARAGRAPH_CHARS else ([nodes.Text(text)], [])
    )
    return inliner


def _register_unknown(text: str) -> None:
    """Give docutils a directive or role for each name it does not know, so that nothing is dropped as an error."""
    from docutils.parsers.rst import directives, roles
    from docutils.parsers.rst.languages import en
    from docutils.utils import new_document

    roles._roles.clear()  # docutils keeps what another document has defined
    document = new_document("")
    document.settings.report_level = 5
    for name in {match[1].lower() for match in _DIRECTIVE.finditer(text)}:
        if name in _SILENT or name in _CODE or directives.directive(name, en, document)[0] is None:
            directives.register_directive(name, _make_directive(name))
    for name in {(match[1] or match[2]).lower() for match in _ROLE.finditer(text)}:
        if roles.role(name, en, 0, document.reporter)[0] is None:
            roles.register_local_role(name, _role_words)


def _make_directive(name: str) -> type:
    from docutils import nodes
    from docutils.parsers.rst import Directive

    class WordsOnly(Directive):  # type: ignore[misc]
        """Keeps a directive's argument and content."""

        optional_arguments = 1
        final_argument_whitespace = True
        has_content = True

        def run(self) -> list[Any]:
            if name in _SILENT:
                return []
            if name in _CODE:
                code = "\n".join(self.content)
                return [nodes.literal_block(code, code)]
            box = nodes.container()
            argument = " ".join(_OPTIONS.sub("", self.arguments[0]).split()) if self.arguments else ""
            if argument:
                if name in _VERSIONS:
                    argument = f"{_VERSIONS[name]} {argument.replace(' ', ': ', 1)}"
                inline, _ = self.state.inline_text(argument, self.lineno)
                box += nodes.paragraph("", "", *inline)
            self.state.nested_parse(self.content, self.content_offset, box, match_titles=1)
            return [box]

    return WordsOnly


def _role_words(_role: str, rawtext: str, text: str, *_rest: Any, **_options: Any) -> tuple[list[Any], list[Any]]:
    """Give what Sphinx would show: the title of `title <target>`, else the last name of `~package.name`."""
    from docutils import nodes, utils

    words = utils.unescape(text)
    titled = _TARGET.match(words)
    words = titled[1] if titled else words
    if words.startswith("~"):
        words = words.rpartition(".")[2].lstrip("~")
    return [nodes.inline(rawtext, words.lstrip("!."))], []
