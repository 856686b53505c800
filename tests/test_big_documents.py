"""A document of any size is sent in parts, so that many who read one at once do not end the server."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from src.artifacts import CHECKSUMS_FILE, LEXICAL_FILE, MANIFEST_FILE
from src.checksums import read_checksums
from src.retrieval.text_store import BLOCK_CHARS
from src.web.document_view import PAGE_CHARS
from tests.conftest import Server, corpus_places, serve

LINE = "The quick brown fox signs line {:07d} & goes <home>.\n"
TEXT = "".join(LINE.format(number) for number in range(115_000))
CHUNK_CHARS = 1000


def add_big_document(index: Path) -> None:
    """Write it into the texts of a built index, without embeddings: only its page is asked for."""
    path = index / LEXICAL_FILE
    with closing(sqlite3.connect(path)) as connection, connection:
        number = connection.execute("SELECT max(id) + 1 FROM documents").fetchone()[0]
        block = connection.execute("SELECT max(id) + 1 FROM blocks").fetchone()[0]
        row = (number, "big.txt", "Big", "0" * 64, len(TEXT), block)
        connection.execute("INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?)", row)
        blocks = [TEXT[at : at + BLOCK_CHARS] for at in range(0, len(TEXT), BLOCK_CHARS)]
        connection.executemany("INSERT INTO blocks VALUES (?, ?)", enumerate(blocks, start=block))
        connection.executemany(
            "INSERT INTO chunks VALUES (NULL, ?, ?, '', NULL, ?, ?, '[]', '')",
            [
                (f"big.txt#{place}", number, start, min(start + CHUNK_CHARS, len(TEXT)))
                for place, start in enumerate(range(0, len(TEXT), CHUNK_CHARS))
            ],
        )
    manifest = json.loads((index / MANIFEST_FILE).read_text())
    manifest["results"]["file_bytes"][LEXICAL_FILE] = path.stat().st_size
    (index / MANIFEST_FILE).write_text(json.dumps(manifest))
    sums = {name: sha256((index / name).read_bytes()).hexdigest() for name in read_checksums(index)}
    (index / CHECKSUMS_FILE).write_text("".join(f"{digest}  {name}\n" for name, digest in sums.items()))


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("big")
    shutil.copytree(corpus_places()["INDEX_DIR"], folder / "index")
    add_big_document(folder / "index")
    with serve(folder / "log", INDEX_DIR=str(folder / "index"), MAX_REQUESTS="0") as running:
        yield running


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_twenty_who_read_a_large_document_at_once_are_served_in_little_memory(big: Server, accept: str) -> None:
    """6 MB of text, and none of the twenty costs a few MB for long."""
    big.get("/documents/welcome.md", headers={"Accept": accept})
    worker, before = big.workers(), big.memory().total_mb
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(big.get, "/documents/big.txt", headers={"Accept": accept}) for _ in range(20)]
        peak = before
        while not all(one.done() for one in asked):
            peak = max(peak, big.memory().total_mb)
    assert [one.result().status_code for one in asked] == [200] * 20
    assert peak - before < 80
    assert big.workers() == worker


def test_mark_is_shown_in_the_part_where_it_stands(big: Server) -> None:
    """A citation's link leads to its passage, whatever the size; the parts beside it are a click away."""
    start = 3 * PAGE_CHARS + 4000
    page = big.get(f"/documents/big.txt?start={start}&end={start + 1000}", headers={"Accept": "text/html"}).text
    assert 'id="marked"' in page
    assert f'href="?offset={2 * PAGE_CHARS}"' in page
    assert f'href="?offset={4 * PAGE_CHARS}"' in page
    assert f'id="p{start // CHUNK_CHARS + 1}"' in page
    assert 'id="p1"' not in page
