"""Command line of the evaluations: `python -m evals [SET_DIR ...]`, `python -m evals people FILE --documents DIR`."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from evals.baseline import find_worse, keep, load_baseline
from evals.datasets import load_set, read_rows
from evals.evaluation import Measures, evaluate
from evals.people import score_people
from src.config import Config

HANDBOOK = Path(__file__).parent / "handbook"
CACHE = Path(tempfile.gettempdir()) / "rag512-evals"


def main() -> int:
    """Evaluate, print a table or JSON, and say whether the results hold."""
    is_people = sys.argv[1:2] == ["people"]
    arguments = _parse_people(sys.argv[2:]) if is_people else _parse_sets(sys.argv[1:])
    results = _score_people(arguments) if is_people else _evaluate_sets(arguments)
    print(json.dumps(results, indent=2) if arguments.json else "\n\n".join(_table(*item) for item in results.items()))
    if arguments.keep:
        keep(results)
    return _compare(results) if arguments.compare else 0


def _evaluate_sets(arguments: argparse.Namespace) -> dict[str, Measures]:
    config, results = Config.from_env(), {}
    for folder in arguments.sets or [HANDBOOK]:
        dataset = load_set(folder)
        results[dataset.name] = evaluate(dataset.sample(arguments.limit), config, arguments.cache_dir)
    return results


def _score_people(arguments: argparse.Namespace) -> dict[str, Measures]:
    config, questions = Config.from_env(), list(read_rows(arguments.file))
    documents = arguments.documents or config.documents_dir
    measures = score_people(questions, documents, config.model_dir, arguments.cache_dir)
    return {f"people/{arguments.file.stem}": measures}


def _parse_sets(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m evals",
        description="Retrieval, answers, refusals and CPU time. `people` as first word: questions as people put them.",
    )
    parser.add_argument(
        "sets", nargs="*", type=Path, metavar="SET_DIR", help="default: the sample handbook's questions"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="a fixed sample of N questions of each set")
    arguments = _add_common(parser).parse_args(given)
    if arguments.limit and (arguments.keep or arguments.compare):
        parser.error("the kept results are of all questions: leave --limit out")
    return arguments


def _parse_people(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m evals people", description="Ask the running service questions as people put them."
    )
    parser.add_argument("file", type=Path, metavar="FILE.jsonl", help="question lines; see evals/README.md")
    parser.add_argument("--documents", type=Path, metavar="DIR", help="what they are about (default: DOCUMENTS_DIR)")
    return _add_common(parser).parse_args(given)


def _add_common(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--cache-dir", type=Path, default=CACHE)
    parser.add_argument("--compare", action="store_true", help="exit with 1 where a measure is worse than the kept one")
    parser.add_argument("--keep", action="store_true", help="write the results to evals/baseline.json")
    return parser


def _compare(results: dict[str, Measures]) -> int:
    kept = load_baseline()
    worse = [
        f"{name}: {complaint}"
        for name, measures in results.items()
        for complaint in (find_worse(measures, kept[name]) if name in kept else ["no results are kept; use --keep"])
    ]
    print(*worse or ["No measure is worse than the kept one."], sep="\n", file=sys.stderr)
    return 1 if worse else 0


def _table(name: str, measures: Measures) -> str:
    lines = [name]
    for group, values in measures.items():
        lines.append(f"  {group:<18}" + "  ".join(f"{key} {_show(key, value)}" for key, value in values.items()))
    return "\n".join(lines)


def _show(key: str, value: float) -> str:
    return f"{value:.0f}" if key == "questions" else f"{value:.3f}"


if __name__ == "__main__":
    sys.exit(main())
