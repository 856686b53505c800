"""What of an LLM's answer is shown, piece by piece."""

import re
import time
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from src.errors import GenerationError
from src.rag.citations import find_citations, normalise_markers, remove_markers
from src.rag.code_finder import split_code
from src.rag.written_answer import MARK, MAX_ANSWER_CHARS, WrittenAnswer
from tests.fakes import hits_of, make_chunk

HITS = hits_of(
    [
        make_chunk("Staff have 27 days of paid leave in each calendar year.", "The budget is EUR 5,000."),
        make_chunk("Ask in Roster.", document="b.md"),
        make_chunk("Use form L-1.", document="c.md"),
    ]
)
QUESTION = "How much leave do contractors get in 2026?"

WORDS = [
    "Staff ", "27 days", "[1]", "[9]", " [2]", "[1, 7]", "[1-3]", "[", "]", "(", ")", "【3†source】", "【", "】",
    "[[9]7]", "](http://x.y)", "![a", "[form]", ": ", ". ", "!\n", "\n\n", "  ", "<", "<img src=x>", "</", "script",
    ">", "NOT", "NOT ANSWERED", "**", "Elephants usually celebrate Hogmanay loudly", "7", ",", "😀", "passage 2", "^",
    "A", "`", "``", "`[2]`", "\n```\n", "\n  ```py\n", "\n   ", "~~~", "```", "- ", "> ", "\\", "items[0]", "$$",
    "<!--", "-->",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(WORDS), max_size=14).map("".join)


def show(pieces: "list[str]") -> WrittenAnswer:
    """Write the pieces; what is given back is what `text` keeps."""
    written = WrittenAnswer(QUESTION, HITS)
    shown = [written.add(piece) for piece in pieces]
    shown.append(written.finish())
    assert "".join(shown) == written.text
    return written


def text_of(*pieces: str) -> str:
    return show(list(pieces)).text


def read_markdown(text: str) -> "list[Token]":
    """Parse a text as a reader does that takes HTML too; what stands in a line comes after the line."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    return [part for token in tokens for part in (token, *(token.children or ()))]


def code_in(text: str) -> "list[str]":
    return [token.content for token in read_markdown(text) if token.type in ("code_inline", "fence")]


@given(TEXTS, st.lists(st.integers(0, 120), max_size=12))
@example("[a]【9】(http://x.y)", [3])
@example("[" + "alt " * 30 + "](http://x.y)", [122])
@example("[1, 2, 3, 1, 2, 3, 1, 2, 3, 1 and 2 and 3 and 1 and 2 and 3 and 9]", [62])
def test_answer_is_the_same_however_it_is_cut(text: str, cuts: "list[int]") -> None:
    """The size of the pieces is the provider's accident."""
    borders = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    pieces = [text[start:end] for start, end in pairwise(borders)]
    assert text_of(*pieces) == text_of(text) == text_of(*text)


@given(TEXTS)
@example("[[9]7]")
@example("[[[9]9]7]")
@example("[1[9]7]")
@example("[passage  [9]7]")
def test_every_marker_that_is_shown_has_a_citation(text: str) -> None:
    """Of three passages 1 to 3 are cited; nothing that is shown outside code looks like a marker of another."""
    shown = text_of(*text)
    cited = {citation.marker for citation in find_citations(shown, HITS)}
    outside = [part.text for part in split_code(shown) if not part.is_code]
    assert {int(number) for number in re.findall(r"\[(\d+)\]", "".join(outside))} == cited <= {1, 2, 3}
    assert all(normalise_markers(text, 3) == text for text in outside)


@given(TEXTS)
def test_nothing_that_is_shown_loads_or_leads_away(text: str) -> None:
    """Markdown's links and images, and tags that load something, are text to every reader, or code."""
    tokens = read_markdown(text_of(*text))
    assert not {token.type for token in tokens} & {"image", "link_open"}
    html = "".join(token.content for token in tokens if token.type.startswith("html"))
    assert not re.search(r"<(img|script)\b", html, re.IGNORECASE)


IMAGE = "![a](http://x.y)"


@pytest.mark.parametrize(
    "written",
    [
        f"`a\nb` {IMAGE} `",
        f"\\` {IMAGE} `",
        f"`` {IMAGE} `",
        f'<a title="`"> {IMAGE} `',
        f"- a\n  ```\n{IMAGE}\n  ```",
        f"- a\n  ```\n  b\n```\nc\n```\n{IMAGE}\n```",
        f"- a\n  ```\n    ```\n\n{IMAGE}\n",
        f"a\n    ```\n{IMAGE}\n    ```",
        f"> ```\n{IMAGE}",
        f"- ```\n{IMAGE}",
        f"<!--\n```\n-->\n{IMAGE}\n```",
        f"``` `\n{IMAGE}\n```",
        f"```\n``` ```\n```\n{IMAGE}",
        f"```\n```\u00a0\n```\n{IMAGE}",
        f"```\n~~~\n```\n{IMAGE}",
        f"```\r```\r{IMAGE}",
        f"[b]: `c\n{IMAGE} `",
        f"`{'a' * 300}` {IMAGE} `",
        f"| a ` | b ` c ` {IMAGE} ` |\n|-|-|-|",
        f"a ` b\n```\n\n```\n{IMAGE}\n```",
        f"- ~~~\n  a\n  ~~~\n  {IMAGE}",
        f"- ```\n  a\n\n  ```\n  {IMAGE}",
        f"~~~ a|b\n-|-\nc|{IMAGE}\n~~~\n{IMAGE}",
        f"Leave `{IMAGE}`[99]` is paid.",
        f"a `{IMAGE}` [99]` b",
        f"a \\[9]`{IMAGE}` b",
        f"a\n~~[9]~\n```\n~~~\n{IMAGE}\n```\n",
    ],
)
def test_image_beside_what_only_looks_like_code_is_text(written: str) -> None:
    """A reader that sees no code there would fetch it."""
    for shown in (text_of(written), text_of(*written)):
        assert "image" not in {token.type for token in read_markdown(shown)}, shown


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("Staff take `items[0]` and `a[n]` [1].", ["items[0]", "a[n]"]),
        ("Take ``a ` [ 1 ] [9]`` [1].", ["a ` [ 1 ] [9]"]),
        ("Run:\n```py\nx = a[0]  # [1]\n\n  b[9](c)\n```\nThen [1].", ["x = a[0]  # [1]\n\n  b[9](c)\n"]),
        ("1. Run:\n   ~~~\n   <img src=a[0]>\n   ~~~\n2. [1]", ["<img src=a[0]>\n"]),
        ("````\n```\na[0]. Staff celebrate elephants loudly.\n```\n````\nSee [1]", None),
        ("```\nElephants celebrate Hogmanay. A[0] is 5001.", ["Elephants celebrate Hogmanay. A[0] is 5001.\n"]),
        ("It is `![a](http://x.y)`.", ["![a](http://x.y)"]),
    ],
)
def test_code_stays_as_it_is(written: str, code: "list[str] | None") -> None:
    """An index is no marker, and nothing is marked or changed inside code, however the pieces come."""
    shown = text_of(written)
    assert shown == text_of(*written)
    assert code_in(shown) == (code or code_in(written))
    assert {item.marker for item in find_citations(shown, HITS)} == ({1} if "[1]" in written[-9:] else set())


def test_code_is_shown_line_by_line() -> None:
    """A line passes as soon as it cannot be the end of the block, code in a line when it is closed."""
    written = WrittenAnswer(QUESTION, HITS)
    steps = [
        ("Ten", "Ten"), (" `", ""), ("a[0]", ""), ("`", ""), (" is", " `a[0]` is"), (":\n", ":"), ("``", ""),
        ("`py", ""),
        ("\nx", "\n```py\nx"), ("[0]", "[0]"), ("\n  `", ""), ("`y", "\n  ``y"), ("\n```", ""), ("\nB", "\n```\nB"),
    ]  # fmt: skip
    assert [written.add(piece) for piece, _ in steps] == [shown for _, shown in steps]


def test_block_of_code_that_is_left_open_is_closed() -> None:
    """What comes after the answer, such as footnotes, is no code."""
    for fence in ("```", "~~~~"):
        written = f"Staff:\n{fence}py\nleave = paid\n"
        assert text_of(written) == text_of(*written) == f"{written}{fence}"


def test_unsupported_block_of_code_is_marked_below_it() -> None:
    """In it, the mark would be code; on its last line it would leave it open."""
    block = "```\nElephants usually\ncelebrate Hogmanay loudly\n```"
    assert text_of(f"{block}\nStaff.") == f"{block}\n{MARK.strip()}\nStaff."
    assert text_of(block) == text_of(block[:-4]) == f"{block}\n{MARK.strip()}"


def test_what_nobody_sees_is_left_out() -> None:
    """Control characters, and signs that turn the letters after them round."""
    assert text_of("Te\x00n\u202e da\x1b[9]ys\r\n\u2066now", "NOT") == "Ten days\nnowNOT"
    assert show(["NO\x00T ANSW\u202eERED"]).is_refusal


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Staff [ask](http://x.y).", "Staff [ask] (http://x.y)."),
        ("![ask](27/?27)", "![ask] (27/?27)"),
        ("[a]: http://x.y", "[a] : http://x.y"),
        ("Ten days [1](http://x.y).", "Ten days [1] (http://x.y)."),
        ("a <img src=x>", "a ‹img src=x>"),
        ("<IFRAME> </script>", "‹IFRAME> ‹/script>"),
        ("<images> 27<5000", "<images> 27<5000"),
        ("<i[9]mg> <[9]script> </ [9]script>", "<i…mg> <…script> </…script>"),
    ],
)
def test_link_image_and_loading_tag_become_text(written: str, shown: str) -> None:
    """An address that a document slipped in can be read, but nothing fetches it by itself."""
    assert text_of(written) == text_of(*written) == shown


def test_text_is_shown_as_soon_as_it_is_safe() -> None:
    """Blanks wait for what follows, a bracket for its end, a tag for its name; all else passes at once."""
    written = WrittenAnswer(QUESTION, HITS)
    steps = [
        ("Ten", "Ten"), (" days", " days"), (" ", ""), ("[", ""), ("1", ""), ("]", " [1]"), (".", "."), (" ", ""),
        ("[9", ""), ("]", ""), (" A", " A"), (" 【", ""), ("2】", " [2]"), (" <", ""), ("b>", " <b>"), ("x", "x"),
    ]  # fmt: skip
    assert [written.add(piece) for piece, _ in steps] == [shown for _, shown in steps]
    assert written.finish() == ""


def test_bracket_that_is_never_closed_is_shown_at_last() -> None:
    """It holds back a bounded stretch; the end shows the rest."""
    written = WrittenAnswer(QUESTION, HITS)
    assert written.add("See [" + "x" * 1000) == "See [" + "x" * 1000
    assert written.add(" [1") == ""
    assert written.finish() == " [1"


@pytest.mark.parametrize(
    "pieces", [["NOT ANSWERED"], ["NOT", " ANS", "WERED", "."], ["**Not answered**", " Sorry, [1]."]]
)
def test_refusal_is_never_shown(pieces: "list[str]") -> None:
    """The agreed words are for the code, whatever comes after them."""
    written = show(pieces)
    assert (written.text, written.is_refusal) == ("", True)


@pytest.mark.parametrize("text", ["Leave is 27 days. The rest is NOT ANSWERED.", "NOT ANSWER", "Not at all."])
def test_agreed_words_elsewhere_are_no_refusal(text: str) -> None:
    """In the middle they tell what the passages leave open; half of them is nothing."""
    written = show([text[:4], text[4:]])
    assert (written.text, written.is_refusal) == (text, False)


def test_blanks_around_an_answer_are_not_shown() -> None:
    """Many models begin with a blank and end with a line."""
    assert text_of("\n ", " Ten days", ".\n\n") == "Ten days."


@pytest.mark.parametrize("character", ["😀", "\U00010000", "\U0010ffff"])
def test_pair_of_surrogates_in_two_pieces_is_one_character(character: str) -> None:
    """JSON may cut a pair; half of one cannot be sent, so a lone one becomes the sign for it."""
    pair = character.encode("utf-16-be")
    high, low = (pair[at : at + 2].decode("utf-16-be", "surrogatepass") for at in (0, 2))
    written = WrittenAnswer(QUESTION, HITS)
    assert [written.add("Ten " + high), written.add(low)] == ["Ten", f" {character}"]
    assert text_of("Ten ", high, " days", low) == "Ten \N{REPLACEMENT CHARACTER} days\N{REPLACEMENT CHARACTER}"
    assert text_of("Ten ", high) == "Ten \N{REPLACEMENT CHARACTER}"


def test_endless_answer_is_an_error() -> None:
    """A model that repeats itself for ever is stopped; the longest answer that is allowed passes."""
    written = WrittenAnswer(QUESTION, HITS)
    written.add("a" * MAX_ANSWER_CHARS)
    with pytest.raises(GenerationError, match="over 12000 characters"):
        written.add("a")


@pytest.mark.parametrize(
    "sentence",
    [
        "Staff get 27 days of paid leave each calendar year [1].",
        "Yes.",
        "Elephants celebrate Hogmanay.",
        "The passages do not mention contractors, temporary agency workers or interns.",
        "1. Paid leave is 27 days each calendar year for staff [1].",
        "The staff budget for each calendar year is EUR 5000 [1].",
        "Staff get 27 days of paid calendar leave in 2026 [1].",
        "Staff leave elephants loudly [1].",
        "Staff get 27 days of paid leave in 2026 of EUR 5000 on day 1 [1].",
    ],
)
def test_supported_sentence_is_left_alone(sentence: str) -> None:
    """Half its words and all its numbers are in passages or question; or it is too short or about the passages."""
    written = show([sentence])
    assert (written.text, written.has_unsupported) == (sentence, False)


@pytest.mark.parametrize(
    "sentence",
    [
        "Elephants usually celebrate Hogmanay loudly [1].",
        "Staff get 30 days of paid leave each calendar year [1].",
        "Staff celebrate elephants loudly [1].",
    ],
)
def test_unsupported_sentence_is_marked(sentence: str) -> None:
    """Foreign words, or a number that is nowhere; a quarter of its words is not enough."""
    written = show([sentence])
    assert (written.text, written.has_unsupported) == (sentence + MARK, True)


def test_only_the_unsupported_sentence_is_marked() -> None:
    """The mark comes before the line break, and the other sentences stay as they are."""
    text = "- Staff get 27 days of paid leave. [1]\n- Staff get 99 days of paid leave. [1]\nAsk. Staff have paid leave."
    assert text_of(text) == text_of(*text) == text.replace("\nAsk.", f"{MARK}\nAsk.")


def test_sentences_on_one_line_are_judged_one_by_one() -> None:
    """A capital, a bracket, a quotation mark or a sign of emphasis after the stop begins the next one."""
    first, last = "Elephants usually celebrate Hogmanay loudly [1].", "Staff have 27 days of paid leave."
    for opening in ("", "“", '"', "(", "**"):
        assert text_of(f"{first} {opening}{last}") == f"{first}{MARK} {opening}{last}"
    assert MARK not in text_of("Staff have paid leave of approx. elephants usually loudly each calendar year.")


MARKER_LIKE = [
    "[",
    "[1,",
    "[1 ",
    "【3†",
    " ",
    "\n",
    ".\n",
    ". [1] ",
    "]",
    "](",
    "<",
    "</",
    "1,",
    "1-",
    "NOT ",
    "A. ",
    "[[9]",
    "`",
    "` ",
    "`a` ",
    "\n```\n",
    "a",
    "~",
    "\n   ",
]


@pytest.mark.parametrize("part", MARKER_LIKE)
def test_worst_input_takes_little_time(part: str) -> None:
    """100 kB of what each pattern begins with takes each of them less than a second, and so does an answer of it."""
    text = part * (100_000 // len(part))
    for work in (
        lambda: normalise_markers(text, 3),
        lambda: remove_markers(text),
        lambda: find_citations(text[:MAX_ANSWER_CHARS], HITS),
        lambda: show([text[:MAX_ANSWER_CHARS]]),
        lambda: show([text[at : at + 4] for at in range(0, MAX_ANSWER_CHARS, 4)]),
    ):
        started = time.process_time()
        work()
        assert time.process_time() - started < 1.0
