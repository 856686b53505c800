"""A megabyte of one word or of signs that nobody sees, text without blanks, two encodings: no letter of it is lost."""

from pathlib import Path

import pytest

from src.ingestion.chunker import MAX_CHUNK_CHARS, Chunker
from src.ingestion.loader import load_document
from src.records import Document

MEGABYTE = 1_000_000
BAD_TEXTS = {
    "one word": "a" * MEGABYTE,
    "no blanks": "我每年有多少天年假" * 1000,  # a megabyte takes 75 s of CPU to split, and is done within a file's 120
    "one letter under a tower of accents": "e" + "\u0301" * (MEGABYTE // 2),
    "nothing that is seen": "\u200b" * (MEGABYTE // 3),
    "marks that turn the direction": "\u202e\u200fabc \u202c" * (MEGABYTE // 130),
}


def letters(text: str) -> int:
    return sum(map(str.isalnum, text))


@pytest.mark.parametrize("kind", BAD_TEXTS)
def test_megabyte_is_read_with_exact_spans(tmp_path: Path, chunker: Chunker, kind: str) -> None:
    """No letter is lost, and no chunk is larger than any other text's."""
    (tmp_path / "bad.md").write_text(BAD_TEXTS[kind], encoding="utf-8")
    document = load_document(tmp_path, "bad.md")
    assert isinstance(document, Document)
    assert letters(document.text) == letters(BAD_TEXTS[kind])
    chunks = chunker.split(document)
    for chunk in chunks:
        assert document.text[chunk.start : chunk.end] == chunk.text
        assert len(chunk.text) <= MAX_CHUNK_CHARS
        assert all(0 <= start < end <= len(chunk.text) for start, end in chunk.sentences)
    assert sum(letters(chunk.text) for chunk in chunks) == letters(document.text)


@pytest.mark.parametrize("suffix", [".txt", ".html", ".rst"])
@pytest.mark.parametrize("kind", BAD_TEXTS)
def test_other_formats_lose_no_letter_of_it_either(tmp_path: Path, suffix: str, kind: str) -> None:
    """Each is longer than the 10,000 letters of a line that docutils takes by itself, or nearly."""
    text = BAD_TEXTS[kind][: MEGABYTE // 20]
    source = f"<html><body><main><p>{text}</p></main></body></html>" if suffix == ".html" else text
    (tmp_path / f"bad{suffix}").write_text(source, encoding="utf-8")
    document = load_document(tmp_path, f"bad{suffix}")
    assert isinstance(document, Document)
    assert letters(document.text) == letters(text)


def test_file_in_two_encodings_is_read_with_every_word(tmp_path: Path) -> None:
    """Where a file is not UTF-8 as a whole it is taken for Windows-1252, which reads its plain letters alike."""
    (tmp_path / "mixed.txt").write_bytes("Gruß aus Köln. ".encode() * 9 + "Gruß aus Köln. ".encode("cp1252") * 9)
    document = load_document(tmp_path, "mixed.txt")
    assert isinstance(document, Document)
    assert document.text.count(" aus K") == 18
    assert document.text.count("Gruß aus Köln.") == 9
