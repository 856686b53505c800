"""The offline build, one step after the other: parse, compare with the old index, embed what is new, write, swap in."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from src.artifacts import IndexSpec, ModelCard, measure_files
from src.config import Config
from src.errors import BuildError
from src.ingestion.build_report import BuildReport, progress_bar
from src.ingestion.chunker import Chunker
from src.ingestion.encoder import ParallelEncoder, load_encoder
from src.ingestion.engines import Engine, LocalEngine
from src.ingestion.index_check import load_whole_manifest
from src.ingestion.index_swap import replacing
from src.ingestion.kept_embeddings import KeptEmbeddings, Label
from src.ingestion.languages import tell_unknown
from src.ingestion.loader import FORMATS, list_files
from src.ingestion.new_index import NewIndex


def build_index(
    config: Config, *, strict: bool = False, device: str | None = None, engine: Engine | None = None
) -> BuildReport:
    """Build the index of the documents folder with the model at hand, and put it in the old one's place.

    An index that is already what would be built stays as it is, to the byte.

    Args:
        strict: fail where a file cannot be parsed, instead of leaving it out.
        device: of the sentence-transformers backend, such as `cuda`.
        engine: None: this machine.

    Raises:
        BuildError: there is nothing to index, another build runs, there is no such device, or the disk refuses; the old
            index stays.
        ArtifactError: there is no embedding model.
    """
    started = time.monotonic()
    card = ModelCard.load(config.model_dir)
    get_encoder = cache(partial(load_encoder, config, card, device))
    if device is not None:
        get_encoder()  # so that a missing device is reported before a large folder is parsed
    engine = engine or LocalEngine(config.model_dir, get_encoder)
    embedded: int | None = None
    with replacing(config.index_dir) as aside, closing(NewIndex(aside)) as index:
        spec = _parse(index, config, card, strict, engine)
        old = load_whole_manifest(config.index_dir)
        if old is None or old.spec != spec:
            with closing(KeptEmbeddings.beside(config.index_dir, spec)) as kept:
                kept.take_over(config.index_dir, old, spec)
                embedded = index.embed(kept, engine.embed)
                get_encoder.cache_clear()  # the vector store's client needs as much memory again
                index.finish(spec, kept, get_encoder)
        KeptEmbeddings.remove(config.index_dir)
    return _report(config, card, index, embedded, started)


def plan_build(config: Config, *, strict: bool = False, engine: Engine | None = None) -> BuildReport:
    """Take the steps of a build in a scratch folder up to the embedding, and count the texts instead of embedding them.

    Raises:
        BuildError: there is nothing to index, or a file cannot be parsed and `strict` is set.
        ArtifactError: there is no embedding model.
    """
    started = time.monotonic()
    card = ModelCard.load(config.model_dir)
    engine = engine or LocalEngine(config.model_dir, partial(ParallelEncoder, config.model_dir))
    missing: int | None = None
    with TemporaryDirectory() as scratch, closing(NewIndex(Path(scratch))) as index:
        spec = _parse(index, config, card, strict, engine)
        old = load_whole_manifest(config.index_dir)
        if old is None or old.spec != spec:
            with closing(KeptEmbeddings(Path(scratch, "kept"))) as kept:
                kept.take_over(config.index_dir, old, spec)
                missing = index.embed(kept, _embed_nothing)
    return _report(config, card, index, missing, started)


def _embed_nothing(batches: Iterable[tuple[Label, list[str]]]) -> Iterator[tuple[Label, NDArray[np.float32]]]:
    """Give each text an embedding without numbers, where texts are only counted."""
    for label, texts in batches:
        yield label, np.empty((len(texts), 0), dtype=np.float32)


def _parse(index: NewIndex, config: Config, card: ModelCard, strict: bool, engine: Engine) -> IndexSpec:
    """Parse and split all documents into the new index, and say what it is to be."""
    folder = config.documents_dir
    splitter = Chunker(config.model_dir).description
    paths, skipped = list_files(folder)
    for refused in skipped:
        index.add(refused)
    with progress_bar("Parsing", len(paths), "files") as bar:
        for item in engine.parse(folder, paths):
            index.add(item)
            bar.update()
    seen = "".join(f"\n  {item.path}: {item.reason}" for item in index.skipped)
    if not index.hashes:
        raise BuildError(f"There is nothing to index in {folder}. Put documents there: {FORMATS}.{seen}")
    if strict and index.skipped:
        raise BuildError(f"--strict: files cannot be parsed: {len(index.skipped)}. The index is as it was.{seen}")
    return index.specify(card, config.embedding_backend, splitter)


def _report(config: Config, card: ModelCard, index: NewIndex, embedded: int | None, started: float) -> BuildReport:
    return BuildReport(
        documents=len(index.hashes),
        chunks=index.chunks,
        sentences=index.sentences,
        skipped=tuple(index.skipped),
        embedded=embedded,
        seconds=time.monotonic() - started,
        file_bytes=measure_files(config.index_dir),
        memory_limit_mb=config.memory_limit_mb,
        base_mb=card.serving_mb,
        unknown_languages=tell_unknown(Counter(index.languages.values()), card.languages),
    )
