"""The one place that holds texts."""

from pathlib import Path

import numpy as np
import pytest

from src.errors import ArtifactError, ServiceUnavailable
from src.records import Document
from src.retrieval.text_store import BLOCK_CHARS, DocumentEntry, TextStore, check_sqlite_file
from tests.fakes import DIMENSION, cut_chunk, sentence_embeddings
from tests.retrieval.corpus import CHUNKS, DOCUMENTS, write_texts


def test_chunks_come_back_as_they_were_in_the_order_asked(texts: TextStore) -> None:
    """What was stored is what is read."""
    asked = list(reversed(CHUNKS))
    assert texts.get_chunks([chunk.chunk_id for chunk in asked]) == asked


def test_unknown_chunk_is_left_out(texts: TextStore) -> None:
    """An id of another build does no harm."""
    assert texts.get_chunks(["nobody.md#7", CHUNKS[0].chunk_id]) == [CHUNKS[0]]


def test_document_comes_back_with_its_chunks(texts: TextStore) -> None:
    """A document can be shown, and cited in its place."""
    document = DOCUMENTS[3]
    entry = texts.get_entry(document.path)
    assert entry == DocumentEntry(document.path, document.title, chunks=1, characters=len(document.text))
    assert texts.read_text(document.path, 0, entry.characters) == document.text
    assert texts.get_chunks_of("travel/rail trip.md") == [CHUNKS[3]]


def test_unknown_document_is_none(texts: TextStore) -> None:
    """None stands for a document that is not indexed."""
    assert texts.get_entry("nobody.md") is None
    assert texts.read_text("nobody.md", 0, 10) == ""
    assert texts.get_chunks_of("nobody.md") == []


def test_documents_are_listed_by_page(texts: TextStore) -> None:
    """A page of the list, and the number of all."""
    entries, total = texts.list_documents(limit=2, offset=1)
    expected = [DocumentEntry(d.path, d.title, 1, len(d.text)) for d in DOCUMENTS[1:3]]
    assert (list(entries), total) == (expected, 4)


def test_sentence_embeddings_of_many_come_in_the_order_asked(tmp_path: Path) -> None:
    """Those without sentences, and those that are not there, are left out."""
    rows = {chunk.chunk_id: sentence_embeddings(chunk) for chunk in CHUNKS}
    rows[CHUNKS[2].chunk_id] = np.zeros((0, DIMENSION), np.int8)
    write_texts(tmp_path / "s", DOCUMENTS, CHUNKS, lambda chunk: rows[chunk.chunk_id])
    store = TextStore.open(tmp_path / "s")
    asked = [CHUNKS[n].chunk_id for n in (3, 2, 0)]
    found = store.get_sentences_of([*asked, "nobody.md#7"], DIMENSION)
    assert list(found) == [asked[0], asked[2]]
    for chunk_id, read in found.items():
        np.testing.assert_array_equal(read, rows[chunk_id])
    store.close()


@pytest.mark.parametrize("length", [0, 1, BLOCK_CHARS - 1, BLOCK_CHARS, BLOCK_CHARS + 1, 3 * BLOCK_CHARS])
def test_long_text_is_whole_whatever_its_length(tmp_path: Path, length: int) -> None:
    """Blocks are not seen from outside, nor do they mix documents."""
    text = ("Grüße 🚂 a\0b " * (length // 10 + 1))[:length]
    documents = [Document(name, "T", text, "x", (0,)) for name in ("a.md", "b.md")]
    chunks = [
        cut_chunk(documents[1], n, start, min(start + 700, length)) for n, start in enumerate(range(0, length, 700))
    ]
    write_texts(tmp_path / "s.sqlite3", documents, chunks)
    store = TextStore.open(tmp_path / "s.sqlite3")
    assert [store.read_text(document.path, 0, length) for document in documents] == [text, text]
    assert store.get_chunks_of("b.md") == chunks
    store.close()


def test_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    """A rebuild of unchanged documents changes nothing that git would see."""
    for name in ("one", "two"):
        write_texts(tmp_path / name, DOCUMENTS, CHUNKS)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_reading_leaves_the_folder_as_it_was(index_dir: Path, texts: TextStore) -> None:
    """No journal and no lock file: the folder may be read-only."""
    texts.get_chunks([CHUNKS[0].chunk_id])
    assert {path.name for path in index_dir.iterdir()} == {"lexical.sqlite3", "chroma_db"}


@pytest.mark.parametrize("content", [None, b"", b"not a database, but long enough to have a header" * 4])
def test_unusable_file_names_the_cure(tmp_path: Path, content: bytes | None) -> None:
    """Missing, empty or something else."""
    path = tmp_path / "lexical.sqlite3"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"run\.sh build"):
        TextStore.open(path).get_chunks(["a"])


def test_truncated_file_names_the_cure(index_dir: Path, tmp_path: Path) -> None:
    """A checkout that broke off leaves a file with a good beginning."""
    path = tmp_path / "lexical.sqlite3"
    path.write_bytes((index_dir / "lexical.sqlite3").read_bytes()[:8192])
    with pytest.raises(ArtifactError, match=r"run\.sh build"):
        TextStore.open(path).get_chunks([CHUNKS[0].chunk_id])


def test_closed_store_is_not_called_damaged(index_dir: Path) -> None:
    """Memory was short and the store went while a request ran: asking again helps."""
    store = TextStore.open(index_dir / "lexical.sqlite3")
    store.close()
    with pytest.raises(ServiceUnavailable, match="Ask again"):
        store.get_chunks([CHUNKS[0].chunk_id])


def test_links_to_documents_of_the_index_are_kept(tmp_path: Path) -> None:
    """A page may be named without its suffix or by its folder; what is not indexed is no link."""
    links = ((0, 1, "https://x.example"), (1, 2, "b.md"), (2, 3, "sub"), (3, 4, "B"), (4, 5, "nowhere.md"))
    documents = [Document("a.md", "A", "abcde", "x", (), links)]
    documents += [Document(path, "T", "text", "x") for path in ("b.md", "sub/index.md")]
    write_texts(tmp_path / "s", documents, [])
    store = TextStore.open(tmp_path / "s")
    assert store.get_links("a.md", 0, 5) == [*links[:2], (2, 3, "sub/index.md"), (3, 4, "b.md")]
    store.close()


def test_damaged_page_is_told_with_the_name_of_the_file(tmp_path: Path) -> None:
    """A file that is whole passes; one that is no database at all is told as well."""
    path = tmp_path / "texts.sqlite3"
    write_texts(path, DOCUMENTS, CHUNKS)
    check_sqlite_file(path)
    path.write_bytes(path.read_bytes()[:-4096])
    with pytest.raises(ArtifactError, match=r"texts\.sqlite3 is damaged"):
        check_sqlite_file(path)
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(ArtifactError, match=r"texts\.sqlite3 is damaged"):
        check_sqlite_file(path)
