"""How fast the build embeds, against sentence-transformers' own `encode` on the same texts and cores in the same run.

python -m benchmarks.build_speed [PASSAGES]

Both take turns, so that a busy machine is busy for both. "Alike" is the share of the ten nearest passages that both
find for a passage. Needs the packages of requirements-export.txt.
"""

import sys
import time

import numpy as np

from src.artifacts import TOKENIZER_FILE, ModelCard
from src.config import Config
from src.embedding.sentence_transformers_encoder import SentenceTransformersEncoder
from src.ingestion.chunker import Chunker, embedding_text
from src.ingestion.encoder import ParallelEncoder
from src.ingestion.loader import load_documents
from src.ingestion.parser_process import count_cores
from src.records import Document
from src.retrieval.index import Encoder

PASSAGES = 120
TURNS = 3
NEAREST = 10


def main() -> None:
    """Print the rate of both, and how alike their rankings are."""
    import torch

    count = int(sys.argv[1]) if len(sys.argv) > 1 else PASSAGES
    config = Config.from_env()
    card = ModelCard.load(config.model_dir)
    texts = load_passages(config, card)[:count]
    torch.set_num_threads(count_cores())
    encoders: dict[str, Encoder] = {
        "build": ParallelEncoder(config.model_dir),
        "sentence-transformers": SentenceTransformersEncoder(card.name, "cpu"),
    }
    wall_s = dict.fromkeys(encoders, 0.0)
    cpu_s = dict.fromkeys(encoders, 0.0)
    rows = {}
    for name, encoder in encoders.items():
        encoder.embed(texts[:4])
        rows[name] = encoder.embed(texts)
    for _ in range(TURNS):
        for name, encoder in encoders.items():
            wall, used = time.perf_counter(), time.process_time()
            encoder.embed(texts)
            wall_s[name] += time.perf_counter() - wall
            cpu_s[name] += time.process_time() - used
    for name in encoders:
        done = TURNS * len(texts)
        print(f"{name:<22} {done / wall_s[name]:7.1f} passages/s {1000 * cpu_s[name] / done:7.1f} CPU-ms a passage")
    ours, theirs = encoders
    clock, cpu = (spent[theirs] / spent[ours] for spent in (wall_s, cpu_s))
    print(f"times as fast: {clock:.2f} by the clock, {cpu:.2f} by CPU time")
    print(f"alike: {overlap(rows[ours], rows[theirs]):.3f} of the {NEAREST} nearest, {len(texts)} passages")


def load_passages(config: Config, card: ModelCard) -> list[str]:
    """Read and split the documents folder."""
    chunker = Chunker(config.model_dir / TOKENIZER_FILE, card.max_tokens)
    documents = (item for item in load_documents(config.documents_dir) if isinstance(item, Document))
    return [embedding_text(chunk) for document in documents for chunk in chunker.split(document)]


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Return the mean share of each row's nearest rows that both have."""
    nearest = [np.argsort(-(rows @ rows.T), axis=1)[:, 1 : NEAREST + 1] for rows in (one, other)]
    return float(np.mean([len(set(a) & set(b)) / NEAREST for a, b in zip(*nearest, strict=True)]))


if __name__ == "__main__":
    main()
