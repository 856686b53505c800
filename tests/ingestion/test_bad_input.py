"""A megabyte of one word or of signs that nobody sees, text without blanks, two encodings: no letter of it is lost."""

import base64
import random
import time
from pathlib import Path

import pytest

from src.ingestion.chunker import MAX_CHUNK_CHARS, Chunker
from src.ingestion.loader import load_document
from src.records import Document

MEGABYTE = 1_000_000
MAX_CPU_S = 15  # what grows with the square of a text's length takes minutes
BAD_TEXTS = {
    "one word": "a" * MEGABYTE,
    "no blanks": "我每年有多少天年假" * (MEGABYTE // 27),
    "base64": base64.b64encode(random.Random(1).randbytes(MEGABYTE // 4)).decode(),
    "open brackets": "a " + "[" * (MEGABYTE // 10),
    "one letter under a tower of accents": "e" + "\u0301" * (MEGABYTE // 2),
    "nothing that is seen": "\u200b" * (MEGABYTE // 3),
    "marks that turn the direction": "\u202e\u200fabc \u202c" * (MEGABYTE // 130),
}


def letters(text: str) -> int:
    return sum(map(str.isalnum, text))


@pytest.mark.parametrize("kind", BAD_TEXTS)
def test_megabyte_is_read_with_exact_spans(tmp_path: Path, chunker: Chunker, kind: str) -> None:
    """No letter is lost, no chunk is larger than any other text's, and it is done in seconds."""
    started = time.process_time()
    (tmp_path / "bad.md").write_text(BAD_TEXTS[kind], encoding="utf-8")
    document = load_document(tmp_path, "bad.md")
    assert isinstance(document, Document)
    assert letters(document.text) == letters(BAD_TEXTS[kind])
    chunks = chunker.split(document)
    assert time.process_time() - started < MAX_CPU_S
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


def test_marks_that_never_end_are_read_as_letters(tmp_path: Path) -> None:
    """docutils does not look for the end of each up to the end of the text: that takes 40 s."""
    (tmp_path / "bad.rst").write_text("*a " * (MEGABYTE // 50), encoding="utf-8")
    started = time.process_time()
    document = load_document(tmp_path, "bad.rst")
    assert isinstance(document, Document)
    assert letters(document.text) == MEGABYTE // 50
    assert time.process_time() - started < MAX_CPU_S


def test_file_in_two_encodings_is_read_with_every_word(tmp_path: Path) -> None:
    """Where a file is not UTF-8 as a whole it is taken for Windows-1252, which reads its plain letters alike."""
    (tmp_path / "mixed.txt").write_bytes("Gruß aus Köln. ".encode() * 9 + "Gruß aus Köln. ".encode("cp1252") * 9)
    document = load_document(tmp_path, "mixed.txt")
    assert isinstance(document, Document)
    assert document.text.count(" aus K") == 18
    assert document.text.count("Gruß aus Köln.") == 9
