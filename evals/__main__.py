"""Command line of the evaluations: `python -m evals [SET_DIR ...]`."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from evals.baseline import find_worse, keep, load_baseline
from evals.datasets import load_set
from evals.evaluation import Figures, evaluate
from src.config import Config

HANDBOOK = Path(__file__).parent / "handbook"


def main() -> int:
    """Evaluate the sets, print a table or JSON, and say whether the figures hold."""
    arguments = _parse()
    config = Config.from_env()
    results: dict[str, Figures] = {}
    for folder in arguments.sets or [HANDBOOK]:
        dataset = load_set(folder)
        results[dataset.name] = evaluate(dataset.sample(arguments.limit), config, arguments.cache_dir)
    print(json.dumps(results, indent=2) if arguments.json else "\n\n".join(_table(*item) for item in results.items()))
    if arguments.keep:
        keep(results)
    return _compare(results) if arguments.compare else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m evals", description="Retrieval, answers, refusals and CPU time.")
    parser.add_argument(
        "sets", nargs="*", type=Path, metavar="SET_DIR", help="default: the sample handbook's questions"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="a fixed sample of so many questions of each set")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--cache-dir", type=Path, default=Path(tempfile.gettempdir()) / "rag512-evals")
    parser.add_argument("--compare", action="store_true", help="exit with 1 where a figure is worse than the kept one")
    parser.add_argument("--keep", action="store_true", help="write the figures to evals/baseline.json")
    arguments = parser.parse_args()
    if arguments.limit and (arguments.keep or arguments.compare):
        parser.error("the kept figures are of all questions: leave --limit out")
    return arguments


def _compare(results: dict[str, Figures]) -> int:
    kept = load_baseline()
    worse = [
        f"{name}: {complaint}"
        for name, figures in results.items()
        for complaint in (find_worse(figures, kept[name]) if name in kept else ["no figures are kept; use --keep"])
    ]
    print(*worse or ["No figure is worse than the kept ones."], sep="\n", file=sys.stderr)
    return 1 if worse else 0


def _table(name: str, figures: Figures) -> str:
    lines = [name]
    for group, values in figures.items():
        lines.append(f"  {group:<10}" + "".join(f"{key:>15} {_show(key, value)}" for key, value in values.items()))
    return "\n".join(lines)


def _show(key: str, value: float) -> str:
    return f"{value:<6.0f}" if key == "questions" else f"{value:<6.3f}"


if __name__ == "__main__":
    sys.exit(main())
