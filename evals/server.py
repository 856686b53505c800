"""Whether the vectors of a Chroma server (`CHROMA_URL`) give the ranking that those at hand give."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

from evals.datasets import Question
from evals.serving import Served
from src.config import Config
from src.ingestion.vector_push import push_vectors
from src.retrieval.index import open_index
from src.retrieval.vector_store import open_server_vectors

TOP = 10


def measure_sameness(served: Served, questions: Sequence[Question], config: Config) -> dict[str, float]:
    """Push the index, and tell for which share of the questions the first ten are the same, in the same order."""
    push_vectors(replace(config, index_dir=served.index_dir))
    manifest = served.index.manifest
    vectors = open_server_vectors(config, manifest.fingerprint, manifest.results.chunks)
    same = {"hybrid": 0, "dense": 0}
    opened = open_index(served.index_dir, get_encoder=lambda: served.encoder, get_vectors=lambda: vectors)
    with closing(vectors), closing(opened) as server_index:
        for question in questions:
            for kind in ("hybrid", "dense"):
                here, there = (one.search(question.text, limit=TOP, kind=kind) for one in (served.index, server_index))
                assert there.kind == kind, vectors.problem
                same[kind] += [hit.chunk.chunk_id for hit in here.hits] == [hit.chunk.chunk_id for hit in there.hits]
    return {"questions": len(questions), **{f"same_{kind}": count / len(questions) for kind, count in same.items()}}
