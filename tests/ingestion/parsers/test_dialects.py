"""What a dialect writes before Markdown reads it, at its edges."""

import pytest

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


TEMPLATE = "{% if user %}\n<Button primary>{{ user.name }}\n[[ -f $X ]] && echo `id` **a** {foo=bar}"


def test_code_without_a_fence_stays_as_it_is() -> None:
    """A template, a component or a test of a shell is not ours to read in code."""
    indented = TEMPLATE.replace("\n", "\n\n    ")
    source = f"# T\n\nAs here:\n\n    {indented}\n\n- item\n\n      {{{{ code }}}} of the item\n\nAfter.\n"
    assert plain_markdown(source) == source
    assert indented.replace("\n    ", "\n") in parse_markdown(source.encode()).text


def test_paragraph_of_an_item_is_no_code() -> None:
    """It is indented by four blanks too."""
    source = "- item\n\n    {{< note >}}Keep **the** key.\n\n1. one\n\n    Two {#id}.\n"
    assert plain_markdown(source) == "- item\n\n    Keep the key.\n\n1. one\n\n    Two .\n"


def test_text_that_a_component_indents_is_no_code() -> None:
    """Its tags go wherever they stand."""
    source = "<Tabs>\n\n    <Tab>\n    Keep the key.\n    </Tab>\n\n</Tabs>\n"
    assert "Tab" not in plain_markdown(source)


def test_code_in_tags_stays_as_it_is() -> None:
    """HTML may stand in Markdown."""
    source = f"<pre>curl {{{{ host }}}} | jq {{name=foo}} [[x|y]]\n{TEMPLATE}</pre>\n\nAs <code>{{{{ a }}}}</code>.\n"
    assert plain_markdown(source) == source


@pytest.mark.parametrize(
    "math",
    [
        r"$\sum_{i=1}^{n} x_i$", r"$\mathbf{{x}}$", "$a*b*c$", r"$\{x\} \\ \_ [[a]] < b$", "$x$, $y_1$",
        "$$\\frac{{a}}{b} \\\\ c*d*e {#f}$$",
    ],
)  # fmt: skip
def test_math_stays_as_it_is(math: str) -> None:
    """Braces, stars and backslashes between dollars are LaTeX's."""
    assert parse_markdown(f"# T\n\nLet {math} be.\n".encode()).text == f"# T\n\nLet {math} be.\n"


def test_lines_of_an_equation_are_no_list_and_no_heading() -> None:
    """An equation may have lines, and stand in HTML."""
    source = "$$\na_{i=1}\n= b \\\\\n- c\n$$\n\n<p>\n$a_{i=1}*b*c$</p>\n"
    assert parse_markdown(source.encode()).text == "$$ a_{i=1} = b \\\\ - c $$\n\n$a_{i=1}*b*c$\n"


def test_prices_are_no_math() -> None:
    """Between two of them Markdown is Markdown."""
    source = "From $5 {{< to >}}or **$10**, [$5](a.md)/$ and `$x` or $20-$30 {#a}for *all*, $HOME.\n"
    assert parse_markdown(source.encode()).text == "From $5 or $10, $5/$ and `$x` or $20-$30 for all, $HOME.\n"


def test_value_in_braces_is_an_attribute_only_where_one_may_stand() -> None:
    """That is a heading's end, a line of its own, and after a link, an image or code."""
    source = (
        '# T {key=value}\n\nSet config {key=value} there.\n\n![a](i.png){width=50} [b](c.md){target="_blank"}'
        ' `d`{.e f=g} `h`{lang=py}.\n\n{class="wide"}\n\n{: style="x"}\n'
    )
    assert parse_markdown(source.encode()).text == "# T\n\nSet config {key=value} there.\n\nb `d` `h`.\n"
