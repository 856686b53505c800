"""An index for people: what is in it, and what it finds, without the server."""

from contextlib import closing
from functools import cache, partial
from pathlib import Path

from src.artifacts import ModelCard
from src.config import Config
from src.embedding.embedding_service import EmbeddingService
from src.ingestion.encoder import load_encoder
from src.retrieval.index import Encoder, open_index

LARGEST = 5
EXCERPT_CHARS = 200


def describe_index(index_dir: Path) -> str:
    """Tell documents, chunks, their lengths, the largest documents and the files left out, as lines of text."""
    with closing(open_index(index_dir)) as index:
        spec, results = index.manifest.spec, index.manifest.results
        lengths = [row[0] for row in index.texts.query('SELECT "end" - start AS n FROM chunks ORDER BY n')]
        entries = index.texts.list_documents(len(spec.document_hashes), 0)[0]
    largest = sorted(entries, key=lambda entry: -entry.characters)[:LARGEST]
    bytes_by_name = sorted(results.file_bytes.items(), key=lambda item: -item[1])
    lines = (
        f"Model        {spec.model_name} ({spec.dimension} dimensions), embedded with {spec.encoder}",
        f"Splitter     {spec.splitter}",
        f"Documents    {len(entries):,} with {sum(entry.characters for entry in entries):,} characters",
        f"Chunks       {results.chunks:,}; characters: {_spread(lengths)}",
        f"Files        {', '.join(f'{name} {size / 1e6:.1f} MB' for name, size in bytes_by_name if size >= 50_000)}",
        "Largest",
        *(f"  {entry.characters:>9,} characters, {entry.chunks:>5,} chunks  {entry.path}" for entry in largest),
        f"Skipped      {len(spec.skipped):,}",
        *(f"  {path}: {why}" for path, why in spec.skipped.items()),
    )
    return "\n".join(lines)


def search_index(config: Config, question: str) -> str:
    """Ask the index as the server does and give the hits as lines of text, best first."""
    get_encoder = cache(partial(_load_encoder, config))
    with closing(open_index(config.index_dir, model_dir=config.model_dir, get_encoder=get_encoder)) as index:
        hits = index.search(question, limit=config.top_k).hits
    lines: list[str] = []
    for rank, hit in enumerate(hits, start=1):
        chunk = hit.chunk
        place = [chunk.document, chunk.section, f"page {chunk.page}" if chunk.page else ""]
        words = " ".join(chunk.text.split())
        excerpt = words if len(words) <= EXCERPT_CHARS else words[:EXCERPT_CHARS].rstrip() + " ..."
        lines += [f"{rank}. {', '.join(part for part in place if part)}", f"   {excerpt}"]
    return "\n".join(lines) or "Nothing is found."


def _load_encoder(config: Config) -> Encoder:
    """Load what embeds questions in the server: one copy of the exported model, or the original one."""
    if config.embedding_backend == "onnx":
        return EmbeddingService.load(config.model_dir)
    return load_encoder(config, ModelCard.load(config.model_dir), None)


def _spread(lengths: list[int]) -> str:
    """Say where sorted lengths lie."""
    if not lengths:
        return "none"
    at = {"shortest": 0, "median": len(lengths) // 2, "90 % up to": int(0.9 * (len(lengths) - 1)), "longest": -1}
    return ", ".join(f"{name} {lengths[index]:,}" for name, index in at.items())
