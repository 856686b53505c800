"""Clean Markdown is literal, exact and stable, whatever the source is."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.ingestion.parsers import PARSERS
from src.ingestion.parsers.html import parse_html
from src.ingestion.parsers.markdown import clean_markdown
from src.ingestion.parsers.parsed import Parsed
from src.ingestion.parsers.text import parse_markdown

PIECES = st.sampled_from(
    ["# A {#a}", "text", "- item", "  1. one", "| a | b |", "|---|---|", "```py", "~~~", "> q", "", "    x = 1",
     "<div>", "</div>", "[a](b.md)", "![i](j)", "**b**", "`c`", "<!-- x", "-->", "{{< x >}}", "{% y %}", ":::note",
     "===", "[^1]: n", "&amp;", "<a href='u'>w</a>", "<b>", "\u200f\u05d0", "e\u0301", "\u200b", "日本\n語", "**",
     "](", "[x", "`", "\\"]
)  # fmt: skip
PARTS = st.lists(PIECES | st.text(max_size=12))
SOURCES = PARTS.flatmap(lambda parts: st.sampled_from([" ".join(parts), "\n".join(parts)]))


def require_sound(parsed: Parsed) -> None:
    """Links are ascending spans of words, and no sign that stands for them is left."""
    last = 0
    for start, end, _ in parsed.links:
        assert last <= start < end <= len(parsed.text)
        assert parsed.text[start:end].strip()
        last = end
    assert not set("\ufdd0\ufdd1\ufdd2\ufdd3\ufdd4\r\x00") & set(parsed.text)


@given(SOURCES, st.sampled_from([".md", ".mdx", ".html", ".rst", ".txt", ".csv"]))
def test_spans_are_exact_whatever_is_written(source: str, suffix: str) -> None:
    """Every parser gives text in which its links can be found."""
    require_sound(PARSERS[suffix](source.encode("utf-8", "replace").replace(b"\x00", b"")))


def test_markup_goes_and_words_stay() -> None:
    """What a person sees of the source is the text."""
    source = (
        "*Ask* **your** [manager](https://x.example/a_(b)) or <hr@x.example>.  \nSecond &lt;line&gt;\nthird\n\n"
        "> quoted\n\n***\n\n- [x] done\n- <b>bold</b> ![alt](i.png)\n"
    )
    parsed = parse_markdown(source.encode())
    assert parsed.text == ("Ask your manager or hr@x.example.\nSecond <line> third\n\nquoted\n\n- done\n- bold\n")
    assert [(parsed.text[start:end], href) for start, end, href in parsed.links] == [
        ("manager", "https://x.example/a_(b)"),
        ("hr@x.example", "mailto:hr@x.example"),
    ]


def test_text_that_looks_like_markup_in_html_stays_text() -> None:
    """A page about Markdown keeps its signs; code keeps them in backticks."""
    page = "<p>Write *this* or [that](x) &lt;b&gt; as <code>a_b*</code>.</p><p>1. is no list, # no heading</p>"
    assert parse_html(page).text == "Write *this* or [that](x) <b> as `a_b*`.\n\n1. is no list, # no heading\n"


@pytest.mark.parametrize("tag", ["aside", "footer", "header", "form", "article", "button"])
def test_html_in_markdown_is_content_whatever_its_element(tag: str) -> None:
    """Its author wrote it there; a site's frame is around it, not in it."""
    source = f"Before.\n\n<div>\nFirst.\n<{tag}>\nAsk hr@x.example.\n</{tag}>\n</div>\n\nAfter.\n"
    words = clean_markdown(source).text.split()
    assert words == ["Before.", "First.", "Ask", "hr@x.example.", "After."]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("10<sup>6</sup> cells", "10^6 cells"),
        ("m s<sup>-1</sup> of x<sup>2</sup>", "m s^-1 of x^2"),
        ("the 1<sup>st</sup> day", "the 1st day"),
        ("Ask.<sup>3</sup>", "Ask.3"),
        ('Leave<sup><a href="#n">3</a></sup>', "Leave3"),
        ('Leave<a href="#n"><sup>3</sup></a>', "Leave3"),
    ],
)
def test_a_power_is_told_from_its_number(source: str, text: str) -> None:
    """Ten to the sixth is not 106; a footnote and the end of a word are no powers."""
    assert clean_markdown(source).text == parse_html(f"<p>{source}</p>").text == f"{text}\n"


def test_scripts_and_styles_in_markdown_go() -> None:
    """Nobody reads them."""
    assert clean_markdown("<div><script>a()</script><style>b {}</style>Text.</div>\n").text == "Text.\n"


def test_lists_of_contents_and_ways_around_a_page_go() -> None:
    """They are about the page; a list of other pages is text."""
    source = "## Contents\n\n- [One](#one)\n- [Two](#two)\n\n# One\n\n- [A](a.md)\n- [B](b.md)\n\n[Back to top](#top)\n"
    assert clean_markdown(source).text == "# One\n\n- A\n- B\n"


def test_broken_links_leave_their_words() -> None:
    """An address with blanks and brackets is no link to Markdown, and none to the person."""
    assert parse_markdown(b"See [form 35](Forms/Form%20035%20-%20(new one).pdf).").text == "See form 35.\n"


def test_clean_markdown_stays_as_it_is() -> None:
    """Blocks are written in one way only."""
    text = (
        "# A\n\nOne `a_b`.\n\n- x\n  - y\n\n    ```\n    z\n    ```\n- w\n\n1. one\n2. two\n\n"
        "| a | b |\n| --- | --- |\n| 1 | 2 |\n"
    )
    assert clean_markdown(text).text == text


def test_lines_of_scripts_without_blanks_are_joined_without_one() -> None:
    """A line's end in Japanese or Thai text is no space."""
    assert clean_markdown("日本\n語です。\nAll of\nit").text == "日本語です。 All of it\n"


@pytest.mark.parametrize(
    "unit", ["`", "{% ", "{{< ", "[x](", "<A b={", "**a", "[[", ":::{a}\n", "<div>", "> ", "- a\n", "x"]
)
def test_one_sign_again_and_again_is_read_in_time(unit: str) -> None:
    """No pattern goes over the rest of the text each time: ten times the text takes not a hundred times the time."""

    def seconds(chars: int) -> float:
        began = time.process_time()
        parse_markdown((unit * (chars // len(unit))).encode())
        return time.process_time() - began

    small = min(seconds(5_000) for _ in range(3))
    assert seconds(50_000) < 40 * max(small, 0.01)
