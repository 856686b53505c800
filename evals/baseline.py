"""The kept figures, `baseline.json`, and what counts as worse than they are."""

import json
from collections.abc import Mapping
from pathlib import Path

from evals.evaluation import Figures

BASELINE_FILE = Path(__file__).parent / "baseline.json"
# By how much a figure may get worse: on the handbook's questions, two or three of them. CPU times are not compared.
MAY_FALL = {
    "ndcg@10": 0.02, "mrr": 0.02, "hit@5": 0.02, "recall@20": 0.02, "cites_gold": 0.03, "has_gold": 0.03,
    "recall": 0.06, "precision": 0.06,
}  # fmt: skip
MAY_RISE = {"false_refusals": 0.03, "words": 5.0}
NOT_COMPARED = frozenset({"cpu_ms"})


def load_baseline(path: Path = BASELINE_FILE) -> dict[str, Figures]:
    """Read the kept figures, by set."""
    kept: dict[str, Figures] = json.loads(path.read_text(encoding="utf-8"))
    return kept


def keep(results: Mapping[str, Figures], path: Path = BASELINE_FILE) -> None:
    """Put the figures of these sets in the place of the kept ones."""
    kept = load_baseline(path) if path.exists() else {}
    rounded = {
        name: {
            group: {key: round(value, 4) for key, value in values.items()}
            for group, values in figures.items()
            if group not in NOT_COMPARED
        }
        for name, figures in results.items()
    }
    path.write_text(json.dumps(kept | rounded, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def find_worse(figures: Figures, kept: Figures) -> list[str]:
    """Say which figures are missing or worse than the kept ones by more than their tolerance."""
    worse: list[str] = []
    for group, values in kept.items():
        for key, before in values.items():
            now = figures.get(group, {}).get(key)
            if now is None:
                worse.append(f"{group} {key} was {before:.3f} and is not measured any more")
            elif key == "questions" and now != before:
                worse.append(f"{group} asks {now:.0f} questions, {before:.0f} before: keep new figures with --keep")
            elif now < before - MAY_FALL.get(key, float("inf")) or now > before + MAY_RISE.get(key, float("inf")):
                worse.append(f"{group} {key} was {before:.3f} and is {now:.3f}")
    return worse
