"""Chunks follow the document's structure, fit the model's window, and are exact spans of the text."""

import resource
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_sentences import TEXTS

from src.ingestion import chunker as module
from src.ingestion.chunker import MAX_CHUNK_CHARS, TARGET_TOKENS, Chunker, embedding_text
from src.records import Chunk, Document

Make = Callable[..., Document]
WINDOW = 256  # of all-MiniLM-L6-v2, special tokens included
WORDS = "Every employee may carry five days of leave into the next year. "


def require_sound(document: Document, chunks: list[Chunk]) -> None:
    """Spans are exact and ascending, and what lies between them is white space."""
    last = 0
    for number, chunk in enumerate(chunks):
        assert chunk.chunk_id == f"{document.path}#{number}"
        assert document.text[chunk.start : chunk.end] == chunk.text == chunk.text.strip() != ""
        assert not document.text[last : chunk.start].strip()
        last = chunk.end
        ends = 0
        for start, end in chunk.sentences:
            assert ends <= start < end <= len(chunk.text)
            assert chunk.text[start:end].strip()
            ends = end
    assert not document.text[last:].strip()


def test_section_is_the_path_of_headings_without_the_title(chunker: Chunker, make_document: Make) -> None:
    """The first heading is left out where it is the title already."""
    text = (
        "Preface.\n\n# Guide\n\nIntro.\n\n## Leave\n\nA.\n\n### Sick `leave`\n\nB.\n\n## Pay\n\nC.\n\n# Annex\n\nD.\n"
    )
    chunks = chunker.split(make_document(text))
    assert [(chunk.section, chunk.text.split("\n")[-1]) for chunk in chunks] == [
        ("", "Preface."),
        ("", "Intro."),
        ("Leave", "A."),
        ("Leave > Sick leave", "B."),
        ("Pay", "C."),
        ("Annex", "D."),
    ]


def test_heading_belongs_to_the_text_after_it(chunker: Chunker, make_document: Make) -> None:
    """Headings without text go before the next text, at the end after the last."""
    chunks = chunker.split(make_document("# A\n\n## Empty\n\n## B\n\nText.\n\n## C\n\nMore.\n\n## End\n"))
    assert [chunk.text for chunk in chunks] == ["# A\n\n## Empty\n\n## B\n\nText.", "## C\n\nMore.\n\n## End"]
    assert chunks[0].section == "A > B"


def test_long_section_keeps_its_heading_with_its_first_chunk(chunker: Chunker, make_document: Make) -> None:
    """No chunk is a heading alone, and each knows its section."""
    chunks = chunker.split(make_document(f"# Guide\n\n## Leave\n\n{WORDS * 60}\n"))
    assert len(chunks) > 3
    assert chunks[0].text.startswith("# Guide\n\n## Leave\n\nEvery employee")
    assert {chunk.section for chunk in chunks} == {"Leave"}


def test_hash_sign_in_code_is_no_heading(chunker: Chunker, make_document: Make) -> None:
    """A comment in a listing opens no section."""
    chunks = chunker.split(make_document("# Guide\n\n```sh\n# comment\nrun\n```\n\nAfter.\n"))
    assert [chunk.section for chunk in chunks] == [""]


def test_plain_text_has_no_sections(chunker: Chunker, make_document: Make) -> None:
    """Marks in a text file mean nothing."""
    chunks = chunker.split(make_document("# not a heading\n\nText.", path="a.txt"))
    assert [(chunk.section, chunk.text) for chunk in chunks] == [("", "# not a heading\n\nText.")]


def test_page_is_that_of_the_chunk_start(chunker: Chunker, make_document: Make) -> None:
    """Pages count from 1; formats without pages have none."""
    pages = [WORDS * 30, "Short. " * 3, WORDS * 30]
    starts = (0, len(pages[0]), len(pages[0]) + len(pages[1]))
    document = make_document("".join(pages), path="a.pdf", page_starts=starts)
    for chunk in chunker.split(document):
        assert chunk.page == sum(start <= chunk.start for start in starts)
    assert chunker.split(make_document("Text."))[0].page is None


def test_embedded_text_repeats_no_heading(chunker: Chunker, make_document: Make) -> None:
    """Title and section come first; the headings they are made of are left out, code is not."""
    chunks = chunker.split(make_document("# Guide\n\n## Leave\n\nText.\n\n## Code\n\n```\n# Guide\n```\n"))
    assert [embedding_text(chunk) for chunk in chunks] == ["Guide\nLeave\nText.", "Guide\nCode\n```\n# Guide\n```"]


def test_embedded_text_fits_the_window(chunker: Chunker, make_document: Make) -> None:
    """Long titles and headings leave less room for the text, never too little."""
    title = "A guide to " + "leave " * 18
    text = f"# {'Chapter ' * 20}\n\n{WORDS * 30}\n\n## {'Section ' * 40}\n\n{WORDS * 30}\n"
    for chunk in chunker.split(make_document(text, title=title)):
        assert chunker.count_tokens(embedding_text(chunk)) <= WINDOW - 2


def test_table_is_split_between_rows(chunker: Chunker, make_document: Make) -> None:
    """No row is broken, so each can be quoted whole."""
    rows = [f"| Leave of kind {n} | {n} days a year | asked of the manager |" for n in range(80)]
    text = "# Guide\n\n| Kind | Days | How |\n| --- | --- | --- |\n" + "\n".join(rows)
    chunks = chunker.split(make_document(text))
    quoted = [chunk.text[start:end] for chunk in chunks for start, end in chunk.sentences]
    assert len(chunks) > 5
    assert quoted == rows


def test_wall_of_letters_is_cut_by_its_length(chunker: Chunker, make_document: Make) -> None:
    """The tokenizer takes a very long word for one token; the chunk is bounded all the same."""
    document = make_document("x" * (3 * MAX_CHUNK_CHARS + 5))
    chunks = chunker.split(document)
    assert [len(chunk.text) for chunk in chunks] == [MAX_CHUNK_CHARS] * 3 + [5]
    require_sound(document, chunks)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory in use is read from Linux's /proc")
def test_titles_of_all_lengths_cost_no_memory_each(model_dir: Path, make_document: Make) -> None:
    """Each title leaves another room for the text; a copy of the tokenizer for each of them would take 6 MB."""

    def used_mb() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6

    chunker = Chunker(model_dir)
    documents = [make_document(WORDS * 20, title="leave " * words) for words in range(60, 130, 2)]
    chunker.split(documents[0])
    before = used_mb()
    lengths = {max(len(chunk.text) for chunk in chunker.split(document)) for document in documents}
    assert len(lengths) > 5
    assert used_mb() - before < 40


def test_document_of_headings_alone_is_kept(chunker: Chunker, make_document: Make) -> None:
    """What has no text under it is text itself."""
    text = "\n\n".join(f"## Call extension {number} for help" for number in range(60))
    document = make_document(text)
    chunks = chunker.split(document)
    require_sound(document, chunks)
    assert len(chunks) > 1


def test_settings_are_told_for_the_manifest(chunker: Chunker) -> None:
    """An index built with other settings can be told by its manifest."""
    assert f"target {TARGET_TOKENS} tokens" in chunker.description
    assert "semantic-text-splitter" in chunker.description


@given(text=TEXTS, path=st.sampled_from(["a.md", "a.txt", "a.pdf"]))
def test_chunks_are_exact_whatever_is_written(chunker: Chunker, text: str, path: str) -> None:
    """Every letter is in one chunk, and every span is exact."""
    document = Document(path, "A", text, "0" * 64, (0,) if path.endswith("pdf") else ())
    require_sound(document, chunker.split(document))


@pytest.mark.parametrize("target", [16, 64])
def test_chunks_are_exact_when_they_are_small(
    chunker: Chunker, make_document: Make, monkeypatch: pytest.MonkeyPatch, target: int
) -> None:
    """Chunks cut within lists, tables and code clip their sentences to themselves."""
    monkeypatch.setattr(module, "TARGET_TOKENS", target)
    monkeypatch.setattr(module, "MIN_CAPACITY_TOKENS", 8)
    text = (
        f"# A\n\n- {WORDS}\n- é {WORDS * 3}\n\n```\n"
        + "x = y + z\n" * 40
        + f"```\n\n| a | b |\n|---|---|\n| {WORDS} | c |\n"
    )
    document = make_document(text)
    chunks = chunker.split(document)
    require_sound(document, chunks)
    assert max(chunker.count_tokens(chunk.text) for chunk in chunks) <= target + 4  # the heading's own


def test_chunk_knows_what_it_continues(chunker: Chunker, make_document: Make) -> None:
    """A table's head, the sentence that leads into a list, and the one before code; none where it begins by itself."""
    rows = "\n".join(f"| Leave of kind {n} | {n} days of each year |" for n in range(40))
    items = "\n".join(f"- the costs of kind {n}, with a receipt that shows the date" for n in range(40))
    code = "\n".join(f"configure(option_{n}=True)" for n in range(60))
    text = (
        f"# Guide\n\n## Leave\n\n| Kind | Days |\n| --- | --- |\n{rows}\n\n"
        f"## Costs\n\nAsk early. You can claim:\n\n{items}\n\n"
        f"## Code\n\n{WORDS * 14}Set it like this.\n\n```\n{code}\n```\n\nAfter it, wait.\n"
    )
    chunks = chunker.split(make_document(text))
    leads = {name: [chunk.lead for chunk in chunks if chunk.section == name] for name in ("Leave", "Costs", "Code")}
    assert leads["Leave"] == ["", *["Kind | Days"] * (len(leads["Leave"]) - 1)]
    assert leads["Costs"] == ["", *["You can claim:"] * (len(leads["Costs"]) - 1)]
    assert {lead for lead, chunk in zip(leads["Code"], chunks[-len(leads["Code"]):], strict=True)
            if "option_59" in chunk.text} == {"Set it like this."}  # fmt: skip
    assert min(len(found) for found in leads.values()) > 1
    for chunk in chunks:
        assert chunker.count_tokens(embedding_text(chunk)) <= WINDOW - 2
        assert chunk.lead in embedding_text(chunk)
