"""Passages put together again as they stand in the document."""

from src.records import Chunk, Hit
from src.retrieval.neighbours import MAX_JOINED, join_neighbours

SENTENCES = [f"Sentence number {n} of the text." for n in range(8)]
TEXT = "\n\n".join(SENTENCES)


def read_text(document: str, start: int, end: int) -> str:
    assert document == "a.md"
    return TEXT[start:end]


def hit(number: int, score: float, section: str = "S", document: str = "a.md", page: int | None = None) -> Hit:
    """The passage that is the sentence of this number."""
    start = TEXT.index(SENTENCES[number])
    end = start + len(SENTENCES[number])
    chunk = Chunk(
        f"{document}#{number}", document, "A", section, page, TEXT[start:end], start, end, ((0, end - start),)
    )
    return Hit(chunk, score, (number / 10,))


def ids(hits: list[Hit]) -> list[str]:
    return [hit.chunk.chunk_id for hit in hits]


def test_neighbours_become_one_passage_in_the_place_of_the_better() -> None:
    """Its text is the document's own from the first to the last, its sentences and their cosines are both passages'."""
    joined = join_neighbours([hit(5, 0.9), hit(2, 0.8), hit(7, 0.7), hit(1, 0.6)], read_text)
    assert ids(joined) == ["a.md#5", "a.md#2", "a.md#7"]
    both = joined[1]
    assert both.chunk.text == TEXT[both.chunk.start : both.chunk.end] == "\n\n".join(SENTENCES[1:3])
    assert [both.chunk.text[start:end] for start, end in both.chunk.sentences] == SENTENCES[1:3]
    assert (both.score, both.cosines) == (0.8, (0.1, 0.2))


def test_sections_documents_and_pages_keep_apart() -> None:
    """A heading between two passages says that another matter begins, and a citation names one page."""
    hits = [hit(1, 0.9, "S"), hit(2, 0.8, "T"), hit(3, 0.7, "T", "b.md"), hit(5, 0.6, "T", page=1)]
    hits.append(hit(6, 0.5, "T", page=2))
    assert join_neighbours(hits, read_text) == hits


def test_no_passage_grows_without_bound() -> None:
    """Eight in a row become passages of three at most."""
    joined = join_neighbours([hit(n, 1 - n / 10) for n in range(8)], read_text)
    assert [len(one.chunk.sentences) for one in joined] == [MAX_JOINED, MAX_JOINED, 2]
    assert " ".join(one.chunk.text for one in joined).split() == TEXT.split()
