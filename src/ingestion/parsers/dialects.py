"""Takes out of Markdown source what only a site's generator reads.

Shortcodes of Hugo, tags of Jekyll, Eleventy and other templates, JSX and imports of MDX, directives and roles of MyST,
admonitions of MkDocs and Docusaurus, attributes of headings and links, footnotes' marks. Their words stay. Code stays
as it is.
"""

import re
from collections.abc import Generator, Iterator

from src.ingestion.parsers.markdown import find_indented_code

_FENCE = re.compile(r"^([ \t>]*(?:(?:[-*+]|\d+[.)])[ \t]+)*)(`{3,}+|~{3,}+)")
_DIRECTIVE = re.compile(r"^([ \t]*)(`{3,}+|:{3,}+)\{([\w:-]+)\}[ \t]*(.*?)[ \t]*$")
_BLOCK_MARK = re.compile(r"^[ \t]*:{3,}[ \t]*(?:\{[^}]*\}|[\w-]+)?[ \t]*(?:\[(.*)\]|\{[^}]*\}|([^\[{].*))?[ \t]*$")
_INDENTED_MARK = re.compile(r'^( *)(?:!!!|\?\?\?\+?|===[+!]?)[ \t]+(?:[\w ]+?)?[ \t]*(?:"(.*)")?[ \t]*$')
_ALERT = re.compile(r"^[ \t]*>[ \t]*\[![\w-]+\][-+]?[ \t]*")
_CODE_DIRECTIVES = frozenset({"code-block", "code", "sourcecode", "code-cell", "prompt", "doctest", "mermaid"})
_SILENT_DIRECTIVES = frozenset({"toctree", "contents", "include", "literalinclude", "image", "index", "tableofcontents",
                                "eval-rst", "automodule", "raw"})  # fmt: skip
_OPTION = re.compile(r"^[ \t]*:[\w-]+:(?:[ \t].*)?$")

# Code in a line ends in its paragraph.
_PROTECTED = re.compile(
    r"(?P<gone>\{%-?\s*comment\b.*?endcomment\s*-?%\}|<!--.*?-->)"
    r"|\{%-?\s*highlight\s+(?P<jekyll>[\w+#-]*)[^%]*%\}\n?(?P<code1>.*?)\{%-?\s*endhighlight\s*-?%\}"
    r"|\{\{[<%]\s*highlight\s+(?P<hugo>[\w+#-]*).*?[%>]\}\}\n?(?P<code2>.*?)\{\{[<%]\s*/\s*highlight\s*[%>]\}\}"
    r"|^[ \t>]*(?:(?:[-*+]|\d+[.)])[ \t]+)*(?P<fence>`{3,}+|~{3,}+)[^\n]*\n.*?(?:^[ \t>]*(?P=fence)[`~]*[ \t]*$|\Z)"
    r"|(?i:<(?P<tag>pre|code)\b(?:[^<]++|<(?!/?(?P=tag)\b))*+</(?P=tag)\s*>)"
    r"|(?<![\\$])(?P<math>\$\$(?:[^$\n\\]|\\.|\n(?![ \t]*\n))++\$\$"
    r"|\$(?![\s$])(?:[^$\n\\`\]]|\\[^\n]|\](?!\())++(?<!\s)\$(?![\w$]))"
    r"|\{[a-z][\w:+.-]*\}`~?(?P<role>[^`<\n]+?)(?:\s*<[^<>\n]*>)?`"
    r"|(?<![`\\])(?P<tick>`++)(?:[^`\n]|\n(?!\s*\n)|(?!(?P=tick)(?!`))`+)*?(?P=tick)(?!`)",
    re.DOTALL | re.MULTILINE,
)
_SIGN = re.compile(r"[!-%'-/:-@\[-`{}~]")  # but for & and |: an entity is one in LaTeX too, and a cell has its end
_MAX_HTML_CHARS = 2_000
_MAY_HAVE_INDENTED_CODE = re.compile(r"(?:\A|\n[ \t>]*\n)[ >]*(?: {4}|\t)")
# MDX has no indented code, and a theme's blocks hold text that is indented like it
_INDENTS_ITS_TEXT = re.compile(r"^(?:</[A-Z]|\{\{[<%]\s*/|\{%-?\s*end(?!raw|highlight|comment))", re.MULTILINE)
_TARGET = r"""[^\n%>}]{0,40}?["']([^"'\n]+)["'][^%>}]{0,80}?"""
_WORDS = r"""[\w-]+\s+["']([^"'/.{}\n]+)["']\s*"""
_ATTRIBUTE = r"""[\w-]+[ \t]*=[ \t]*(?:"[^"\n]*"|'[^'\n]*'|[\w-]+)"""
_ATTRIBUTES = rf"{_ATTRIBUTE}(?:[ \t]+{_ATTRIBUTE})*"
_WORDLESS_TAGS = "include|extends|block|layout|render|import|set|assign|page|link|post_url|from"
_BRACED = r"\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}"
_MARKS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.MULTILINE | re.DOTALL), words)
    for pattern, words in (
        (r"(?<!\\)\[(?=\[{8})", r"\\["),  # no link: each one that may be takes a parser of Markdown long
        (r"^(#{1,6})(?=[A-Z])", r"\1 "),  # a heading without its blank; a channel or a number is no capital
        (r"\{/\*[\s\S]*?\*/\}", ""),  # MDX's comments
        (r"^import\s[^\n]*?['\"][^'\"\n]+['\"];?[ \t]*$", ""),
        (r"^export (?:const|default|function|let)\b[^\n]*(?:\n[^\n]+)*", ""),
        # a template's link is where the link leads
        (rf"(?<=\]\()\s*\{{[{{%][<%]?{_TARGET}[>%]?[}}%]\}}", r"\1"),
        (rf"\{{%-?\s*(?:{_WORDLESS_TAGS})\b.{{0,2000}}?%\}}", ""),
        (rf"\{{%-?\s*{_WORDS}-?%\}}", r"\1"),
        (rf"\{{\{{[<%]\s*{_WORDS}/?[>%]\}}\}}", r"\1"),
        (r"\{\{[<%].{0,2000}?[>%]\}\}|\{\{[^{}]{0,300}?\}\}|\{%.{0,2000}?%\}|\{#[^\n]*?#\}", ""),
        (rf"</?[A-Z][\w.]*(?:\s+(?:[\w:.-]+(?:=(?:\"[^\"]*\"|'[^']*'|{_BRACED}))?|{_BRACED}))*\s*/?>|</?>", ""),
        (rf"\{{:?[ \t]*(?:[.#]+[\w:-][^{{}}\n]*|toc)[ \t]*\}}|\{{:[ \t]*{_ATTRIBUTES}[ \t]*\}}", ""),
        # else braces with a value are prose; a piece begins after code
        (rf"(?:\A|(?<=[\])])|^[ \t]*)\{{[ \t]*{_ATTRIBUTES}[ \t]*\}}", ""),
        (rf"^(#+[ \t][^\n]*?)\{{[ \t]*{_ATTRIBUTES}[ \t]*\}}(?=[ \t#]*$)", r"\1"),
        (r"^\([\w:.-]+\)=[ \t]*$", ""),  # MyST's targets
        (r"^[ \t]*\[\^[^\]\n]+\]:[ \t]*", ""),
        (r"\[\^[^\[\]\n]+\]", ""),
        (r"!\[\[[^\[\]\n]*\]\]", ""),
        (r"\[\[(?:[^\[\]|\n]*\|)?([^\[\]\n]+)\]\]", r"\1"),
        # a link's address may hold blanks and brackets only between < and >
        (r"(?<=\]\()[ \t]*(?!<)((?:[^()<>\n\"']|\([^()<>\n\"']*\))*?)[ \t]*\)", r"<\1>)"),
        (r"\\(?=\[[^\]\[]+\]\(<)", ""),
        (r"\[([^\[\]\n]*)\]\(<>\)", r"\1"),  # only a template knows where it leads
        (r"\*\*((?:[^*\n]|\n(?!\s*\n))*)\*\*", r"\1"),
    )
)  # fmt: skip
_MAY_HAVE_MARKS = re.compile(r"[][{}<*]|\)=|^(?:#+[A-Z]|(?:import|export)\s)", re.MULTILINE)


def plain_markdown(source: str) -> str:
    """Give Markdown that every parser of Markdown reads alike."""
    text = "\n".join(_plain_lines(source.split("\n")))
    kept = [(*code.span(), _keep(code)) for code in _PROTECTED.finditer(text)]
    if _MAY_HAVE_INDENTED_CODE.search(text) and not _INDENTS_ITS_TEXT.search(text):
        kept += [(start, end, text[start:end]) for start, end in find_indented_code(text)]
    pieces: list[str] = []
    at = 0
    for start, end, words in sorted(kept):
        if start >= at:  # else it lies in what began before it
            pieces += [_drop_marks(text[at:start]), words]
            at = end
    return "".join([*pieces, _drop_marks(text[at:])])


def _keep(code: re.Match[str]) -> str:
    if code["gone"] is not None:
        return ""
    if code["role"] is not None:
        return code["role"]
    for language, body in (("jekyll", "code1"), ("hugo", "code2")):
        if code[body] is not None:
            return f"\n```{code[language]}\n{code[body].strip()}\n```\n"
    return _escape_math(code) if code["math"] is not None else code[0]


def _escape_math(math: re.Match[str]) -> str:
    """Keep Markdown from reading signs of LaTeX as its own; in a block of HTML it does not."""
    before = math.string[max(0, math.start() - _MAX_HTML_CHARS) : math.start()]
    if before[before.rfind("\n\n") + 1 :].lstrip().startswith("<"):
        return math[0]
    return _SIGN.sub(r"\\\g<0>", math[0])


def _drop_marks(text: str) -> str:
    if _MAY_HAVE_MARKS.search(text):
        for pattern, words in _MARKS:
            text = pattern.sub(words, text)
    return text


def _plain_lines(lines: list[str]) -> Iterator[str]:
    """Unwrap the blocks that only a generator knows: their title and their lines stay."""
    at = 0
    closing: list[str] = []  # of the directives that are open
    while at < len(lines):
        line = lines[at]
        at += 1
        if directive := _DIRECTIVE.match(line):
            at = yield from _open_directive(lines, at, directive, closing)
        elif closing and line.strip() == closing[-1]:
            closing.pop()
            yield ""
        elif fence := _FENCE.match(line):
            end = _find_end(lines, at, fence[2])
            yield from lines[at - 1 : end]
            at = end
        elif mark := _INDENTED_MARK.match(line):
            _dedent(lines, at, len(mark[1]) + 4)
            yield from ("", f"{mark[1]}{mark[2] or ''}", "")
        elif mark := _BLOCK_MARK.match(line):
            yield from ("", (mark[1] or mark[2] or "").strip(), "")
        else:
            yield _ALERT.sub("> ", line)


def _open_directive(
    lines: list[str], at: int, directive: re.Match[str], closing: list[str]
) -> Generator[str, None, int]:
    indent, mark, name, argument = directive.groups()
    if name in _SILENT_DIRECTIVES:
        return _find_end(lines, at, mark)
    while at < len(lines) and _OPTION.match(lines[at]):
        at += 1
    if name in _CODE_DIRECTIVES:
        end = _find_end(lines, at, mark)
        yield f"{indent}```{argument}"
        is_closed = end > at and not lines[end - 1].strip(f" \t>{mark[0]}")
        yield from lines[at : end - 1 if is_closed else end]
        yield f"{indent}```"
        return end
    closing.append(mark)
    yield from ("", indent + argument, "")
    return at


def _find_end(lines: list[str], at: int, mark: str) -> int:
    """Return the number of the line after the one that closes a fence."""
    for number in range(at, len(lines)):
        line = lines[number].strip(" \t>")
        if line.startswith(mark) and not line.strip(mark[0]):
            return number + 1
    return len(lines)


def _dedent(lines: list[str], at: int, indent: int) -> None:
    while at < len(lines):
        words = lines[at].lstrip(" \t")
        line = lines[at][: len(lines[at]) - len(words)].expandtabs(4) + words
        if words and not line[:indent].isspace():
            return
        lines[at] = line[4:]
        at += 1
