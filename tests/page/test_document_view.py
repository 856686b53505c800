"""How a document is cut for its page."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from src.records import Chunk
from src.web.document_view import cut_into_pieces, excerpt, parse_mark

TEXT = "# Bees\n\nThey hum. They dance."


def chunk(start: int, end: int) -> Chunk:
    return Chunk(f"bees.md#{start}", "bees.md", "Bees", "", None, TEXT[start:end], start, end, ())


def of(passages: list[Chunk]) -> Callable[[int], Chunk | None]:
    return lambda number: passages[number] if number < len(passages) else None


def text_of(pieces: list[object]) -> str:
    return "".join(text for piece in pieces for text, _ in piece.runs)  # type: ignore[attr-defined]


def test_mark_is_cut_out_where_it_stands() -> None:
    """The marked pieces joined are the span, whatever passages it touches."""
    pieces = cut_into_pieces(TEXT, [chunk(0, 18), chunk(18, 29)], (8, 29))
    assert [text_of([piece]) for piece in pieces if piece.is_marked] == ["They hum. ", "They dance."]
    assert [piece.passage for piece in pieces] == [1, None, 2]


def test_heading_lines_are_told_apart() -> None:
    """Only the line, not what follows it."""
    assert cut_into_pieces(TEXT, [], None)[0].runs == (("# Bees", True), ("\n\nThey hum. They dance.", False))


@given(st.text(max_size=60), st.lists(st.integers(0, 60), max_size=5), st.integers(0, 70), st.integers(0, 70))
def test_pieces_joined_are_the_text(text: str, starts: list[int], first: int, last: int) -> None:
    """Nothing is lost or doubled, wherever the cuts are."""
    passages = [chunk(start, start) for start in sorted({start for start in starts if start < len(text)})]
    mark = parse_mark({"start": str(first), "end": str(last)}, len(text), of(passages))
    assert text_of(list(cut_into_pieces(text, passages, mark))) == text


def test_nonsense_in_the_address_marks_nothing() -> None:
    """A broken link still shows the document."""
    passages = [chunk(0, 18), chunk(18, 29)]
    for arguments in ({}, {"start": "9"}, {"start": "9", "end": "3"}, {"start": "-1", "end": "x"}, {"passage": "2"}):
        assert parse_mark(arguments, len(TEXT), of(passages)) is None
    assert parse_mark({"passage": "1"}, len(TEXT), of(passages)) == (18, 29)
    assert parse_mark({"start": "8", "end": "9999"}, len(TEXT), of(passages)) == (8, 29)


def test_excerpt_is_one_paragraph_without_headings() -> None:
    """A list shows what a passage says, not its Markdown."""
    assert excerpt("## Hives\n\nOur apiary\nhas 14 hives.") == "Our apiary has 14 hives."
    assert excerpt("one two three", 9) == "one two …"


def test_part_of_a_document_is_cut_as_the_whole() -> None:
    """Passages keep their numbers, and a mark that begins before the part goes on in it."""
    pieces = cut_into_pieces(TEXT[10:], [chunk(0, 18), chunk(18, 29)], (8, 20), offset=10, first_number=1)
    assert text_of(pieces) == TEXT[10:]
    assert [(text_of([piece]), piece.passage, piece.is_marked) for piece in pieces] == [
        (TEXT[10:18], None, True),
        (TEXT[18:20], 2, True),
        (TEXT[20:], None, False),
    ]
