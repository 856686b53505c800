"""What was embedded once is not embedded again, and is the same to the byte."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from src.config import Config
from src.ingestion import index_builder, new_index
from src.ingestion.engines import LocalEngine
from src.ingestion.index_builder import build_index, plan_build
from src.ingestion.kept_embeddings import KeptEmbeddings, Kind, Label

PAGES = {f"{name}.md": f"# {name}\n\nThe {name} costs {n} dollars. Ask first.\n" for n, name in enumerate("abc", 10)}


@pytest.fixture
def config(config: Config) -> Config:
    for name, text in PAGES.items():
        (config.documents_dir / name).write_text(text)
    return config


def stable_parts(config: Config) -> list[bytes]:
    return [(config.index_dir / name).read_bytes() for name in ("lexical.sqlite3",)] + [
        (config.index_dir / "manifest.json").read_bytes()
    ]


def all_bytes(config: Config) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(config.index_dir.rglob("*")) if path.is_file()}


def test_unchanged_folder_embeds_nothing_and_changes_no_byte(config: Config) -> None:
    """Git sees no change, the Chroma database included."""
    build_index(config)
    before = all_bytes(config)
    assert build_index(config).embedded is None
    assert all_bytes(config) == before
    assert [path.name for path in config.index_dir.parent.iterdir()] == ["index"]


def test_only_what_is_new_or_changed_is_embedded(config: Config) -> None:
    """Three pages have three chunks and four different sentences: 'Ask first.' is embedded once."""
    assert build_index(config).embedded == 3 + 4
    (config.documents_dir / "b.md").write_text(PAGES["b.md"].replace("11 dollars", "99 dollars"))
    (config.documents_dir / "copy.md").write_text(PAGES["a.md"])
    (config.documents_dir / "c.md").unlink()
    assert plan_build(config).embedded == 2
    report = build_index(config)
    assert (report.embedded, report.documents, report.chunks) == (2, 3, 3)


def test_index_built_on_another_is_the_one_built_from_nothing(config: Config, tmp_path: Path) -> None:
    """Texts, sentence embeddings, and the hash of the embeddings do not tell how often it was rebuilt."""
    build_index(config)
    for number in range(3):
        (config.documents_dir / "d.md").write_text(f"Version {number} of a page.\n")
        build_index(config)
    grown = stable_parts(config)
    shutil.rmtree(config.index_dir)
    assert build_index(config).embedded == 3 + 1 + 4 + 1
    assert stable_parts(config) == grown


def test_killed_build_goes_on_where_it_was(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was embedded before the end is beside the index; afterwards nothing is."""
    monkeypatch.setattr(new_index, "CHUNKS_PER_BATCH", 1)
    load = index_builder.load_encoder

    class Dying:
        """Embeds one chunk with its sentences and then ends like a killed process."""

        def __init__(self, *arguments: object) -> None:
            self.calls, self.encoder = 0, load(*arguments)  # type: ignore[arg-type]

        def embed(self, texts: list[str]) -> object:
            self.calls += 1
            if self.calls > 2:
                raise KeyboardInterrupt
            return self.encoder.embed(texts)

    monkeypatch.setattr(index_builder, "load_encoder", Dying)
    with pytest.raises(KeyboardInterrupt):
        build_index(config)
    assert not config.index_dir.exists()
    monkeypatch.setattr(index_builder, "load_encoder", load)
    assert build_index(config).embedded == 7 - 3
    assert [path.name for path in config.index_dir.parent.iterdir()] == ["index"]


def test_damaged_index_is_built_anew(config: Config) -> None:
    """The cure that every message names is to build, so a build does not trust what is damaged."""
    build_index(config)
    [vectors] = config.index_dir.rglob("data_level0.bin")
    data = bytearray(vectors.read_bytes())
    data[200:400] = bytes(200)
    vectors.write_bytes(data)
    assert build_index(config).embedded is not None
    assert vectors.parent.exists() is False
    assert build_index(config).embedded is None


def test_damaged_file_of_kept_embeddings_is_made_anew(tmp_path: Path) -> None:
    """It is not worth more than the time it saves."""
    (tmp_path / "kept").write_bytes(b"no database" * 1000)
    with closing(KeptEmbeddings(tmp_path / "kept")) as kept:
        rows = np.array([[0.6, 0.8]], dtype=np.float32)
        embed = LocalEngine(tmp_path, lambda: SimpleNamespace(embed=lambda texts: rows[[0] * len(texts)])).embed  # type: ignore[arg-type, return-value]
        asked: list[tuple[Kind, list[str]]] = [
            ("sentence", ["text"]),
            ("sentence", ["new", "text", "new"]),
            ("chunk", ["text"]),
        ]
        done: list[int] = []
        assert kept.complete(asked, embed, done.append) == 3
        assert sum(done) == 5
        assert kept.get("sentence", ["text"], 2).tolist() == [[76, 102]]
        np.testing.assert_allclose(kept.get("chunk", ["text", "text"], 2), [[0.6, 0.8]] * 2, atol=0.0003)


def test_text_is_asked_for_once_however_late_its_embedding_comes(tmp_path: Path) -> None:
    """A cluster takes all batches before it gives the first embedding."""

    def embed_at_the_end(batches: Iterator[tuple[Label, list[str]]]) -> Iterator[tuple[Label, NDArray[np.float32]]]:
        for label, texts in list(batches):
            yield label, np.array([[len(text), 0] for text in texts], dtype=np.float32)

    with closing(KeptEmbeddings(tmp_path / "kept")) as kept:
        batches: list[tuple[Kind, list[str]]] = [("chunk", ["a", "bb"]), ("chunk", ["bb"]), ("chunk", ["ccc", "a"])]
        assert kept.complete(batches, embed_at_the_end, lambda _: None) == 3
        assert kept.get("chunk", ["ccc", "a", "bb"], 2).tolist() == [[3, 0], [1, 0], [2, 0]]
