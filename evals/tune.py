"""Chooses the constants of hybrid retrieval: `python -m evals.tune SET_DIR [SET_DIR ...] [--limit N]`.

One constant at a time is moved around the value in the source, the others stay. For each set it is also said what the
best value on the other sets gives there: where that falls behind, the constant was fitted, not found.
"""

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

from evals.datasets import EvalSet, load_set
from evals.retrieval import measure_retrieval
from evals.serving import serve_documents
from src.config import Config
from src.retrieval import index, query_terms, ranking
from src.retrieval.index import Index

GRID: tuple[tuple[ModuleType, str, tuple[float, ...]], ...] = (
    (ranking, "DENSE_SHARE", (0.4, 0.45, 0.5, 0.55, 0.6)),
    (ranking, "SENTENCE_SHARE", (0, 0.3, 0.4, 0.5, 0.6, 0.7, 1)),
    (ranking, "LIFT", (0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9)),
    (ranking, "SIMILAR", (3, 5, 8, 12)),
    (index, "RESCORED", (20, 30, 40, 50, 70, 100)),
    (index, "CANDIDATES", (50, 100, 200)),
    (query_terms, "MAX_TERMS", (24, 32, 40, 48, 1000)),
)


def main() -> None:
    """Measure the grid and print it."""
    parser = argparse.ArgumentParser(prog="python -m evals.tune", description=__doc__)
    parser.add_argument("sets", nargs="+", type=Path, metavar="SET_DIR")
    parser.add_argument("--limit", type=int, default=1000, help="questions of a set (default: 1000)")
    parser.add_argument("--cache-dir", type=Path, default=Path(tempfile.gettempdir()) / "rag512-evals")
    arguments = parser.parse_args()
    sets = [load_set(folder).sample(arguments.limit) for folder in arguments.sets]
    model_dir = Config.from_env().model_dir
    with ExitStack() as stack:
        indexes = [
            stack.enter_context(serve_documents(chosen.documents or (), model_dir, arguments.cache_dir)).index
            for chosen in sets
        ]
        print(f"{'nDCG@10':<22}" + "".join(f"{chosen.name:>14}" for chosen in sets) + f"{'mean':>9}")
        for module, name, values in GRID:
            _try_values(module, name, values, sets, indexes)


def _try_values(
    module: ModuleType, name: str, values: Sequence[float], sets: Sequence[EvalSet], indexes: Sequence[Index]
) -> None:
    """Print a line for each value, then what the best value on the other sets gives on each."""
    kept = getattr(module, name)
    table: dict[float, list[float]] = {}
    for value in values:
        setattr(module, name, value)
        for one in indexes:
            one.clear_cache()
        table[value] = [
            measure_retrieval(one, chosen.questions, "hybrid")["ndcg@10"]
            for chosen, one in zip(sets, indexes, strict=True)
        ]
        print(_line(f"{name} {value}{' *' if value == kept else ''}", table[value]), flush=True)
    setattr(module, name, kept)
    if len(sets) > 1:
        print(_line("  chosen on the others", [_held_out(table, number) for number in range(len(sets))]), flush=True)


def _held_out(table: dict[float, list[float]], number: int) -> float:
    """Return a set's figure at the value that is best on the mean of the other sets."""
    return table[max(table, key=lambda value: sum(table[value]) - table[value][number])][number]


def _line(label: str, figures: Sequence[float]) -> str:
    return f"{label:<22}" + "".join(f"{figure:>14.4f}" for figure in figures) + f"{sum(figures) / len(figures):>9.4f}"


if __name__ == "__main__":
    main()
