"""The kept results, `baseline.json`, and what counts as worse."""

import json
from collections.abc import Mapping
from pathlib import Path

from evals.evaluation import Measures

BASELINE_FILE = Path(__file__).parent / "baseline.json"
# By how much a measure may get worse: two or three of the handbook's questions. CPU times are not compared.
MAY_FALL = {
    "ndcg@10": 0.02, "mrr": 0.02, "hit@5": 0.02, "recall@20": 0.02, "cites_gold": 0.03, "has_gold": 0.03,
    "recall": 0.06, "doubted": 0.06, "precision": 0.06, "right_first": 0.03, "right_at_once": 0.03,
    "right_anywhere": 0.03,
    "gold_in_sources": 0.03, "gold_text_in_sources": 0.03, "refused": 0.1, "refused_or_uncertain": 0.1,
}  # fmt: skip
MAY_RISE = {"false_refusals": 0.03, "refused_wrongly": 0.03, "uncertain": 0.1, "markup": 0.02, "words": 5.0}
NOT_COMPARED = frozenset({"cpu_ms"})


def load_baseline(path: Path = BASELINE_FILE) -> dict[str, Measures]:
    """Read the kept results, by set."""
    kept: dict[str, Measures] = json.loads(path.read_text(encoding="utf-8"))
    return kept


def keep(results: Mapping[str, Measures], path: Path = BASELINE_FILE) -> None:
    """Put the results of these sets in the place of the kept ones."""
    kept = load_baseline(path) if path.exists() else {}
    rounded = {
        name: {
            group: {key: round(value, 4) for key, value in values.items()}
            for group, values in measures.items()
            if group not in NOT_COMPARED
        }
        for name, measures in results.items()
    }
    path.write_text(json.dumps(kept | rounded, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def find_worse(measures: Measures, kept: Measures) -> list[str]:
    """Say which measures are missing or worse than the kept ones by more than their tolerance."""
    worse: list[str] = []
    for group, values in kept.items():
        for key, before in values.items():
            now = measures.get(group, {}).get(key)
            if now is None:
                worse.append(f"{group} {key} was {before:.3f} and is not measured any more")
            elif key == "questions" and now != before:
                worse.append(f"{group} asks {now:.0f} questions, {before:.0f} before: keep new results with --keep")
            elif now < before - MAY_FALL.get(key, float("inf")) or now > before + MAY_RISE.get(key, float("inf")):
                worse.append(f"{group} {key} was {before:.3f} and is {now:.3f}")
    return worse
