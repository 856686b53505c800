"""The report of the memory as text, and the metrics."""

import gc
import re
from dataclasses import replace

import pytest

from src.app_factory import create_app
from src.config import Config
from src.web.memory_report import report_as_text, report_json
from src.web.metrics import write_metrics
from src.web.services import EXTENSION, Services, ServiceState
from tests.conftest import ROOMY

MB = 1024 * 1024


def test_report_is_laid_out_with_what_each_step_took() -> None:
    """A step's MB are those after it less those before; an unknown PSS is a line."""
    process = {"role": "worker", "pid": 7, "rss_mb": 81.5, "pss_mb": None, "vms_mb": 900.0, "threads": 12}
    step = {"step": "model", "before_mb": 40.0, "after_mb": 62.5, "given_back_mb": 1.5, "seconds": 0.3}
    text = report_as_text(
        {
            **{"charged_mb": 90.1, "limit_mb": 512, "percent": 17.6, "source": "cgroup2", "mode": "NORMAL"},
            **{"phase": "ready", "python_objects": 30_000, "processes": [process], "steps": [step]},
            "caches": {"search": {"entries": 2, "hits": 3, "misses": 4}},
            "counts": {"to_cautious": 1},
            "mode_history": [{"before": "NORMAL", "after": "CAUTIOUS", "percent": 79.0}],
        }
    )
    rows = [line.split() for line in text.splitlines()]
    assert rows[0][:6] == ["90.1", "MB", "of", "512", "MB", "(17.6"]
    for row in (
        ["worker", "7", "81.5", "-", "900.0", "12"],
        ["model", "22.5", "1.5", "0.3"],
        ["search", "2", "3", "4"],
        ["to", "cautious:", "1"],
        ["NORMAL", "->", "CAUTIOUS", "at", "79.0", "%"],
    ):
        assert row in rows


def test_report_rounds_and_counts_what_the_master_froze(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two places are enough for megabytes; objects that the collector does not see are there all the same."""
    monkeypatch.setattr(gc, "get_freeze_count", lambda: 10**9)
    report = report_json(create_app(Config.from_env(ROOMY)).extensions[EXTENSION])
    (process,) = report["processes"]
    assert all(value == round(value, 2) for value in process.values() if isinstance(value, float))
    assert process["rss_mb"] > 10
    assert report["python_objects"] > 10**9


def test_metrics_are_in_bytes_and_say_the_mode() -> None:
    """Prometheus wants base units; a server that has loaded nothing is not ready."""
    services = create_app(Config.from_env(ROOMY)).extensions[EXTENSION]
    assert isinstance(services, Services)
    services.chat_counts["llm"] += 3
    text = write_metrics(services)[0].decode()
    values = {name: float(value) for name, value in re.findall(r"^([a-z]\S*) (\S+)$", text, re.MULTILINE)}
    (process,) = services.memory.processes()
    resident = values[f'rag_process_resident_bytes{{pid="{process.pid}",role="single"}}']
    assert values["rag_memory_limit_bytes"] == services.memory.read().limit_mb * MB
    assert 0.5 < values["rag_memory_charged_bytes"] / (services.memory.read().charged_mb * MB) < 2
    assert 0.5 < resident / (process.rss_mb * MB) < 2
    modes = [values[f'rag_memory_mode{{mode="{mode}"}}'] for mode in ("NORMAL", "CAUTIOUS", "DEGRADED")]
    assert (modes, values["rag_ready"]) == ([1.0, 0.0, 0.0], 0.0)
    assert values['rag_chats_total{answered_by="llm"}'] == 3


@pytest.mark.parametrize(
    ("is_loaded", "problem", "up"), [(False, None, 0.0), (True, None, 1.0), (True, "The server is away.", 0.0)]
)
def test_vectors_are_up_when_a_search_finds_them(is_loaded: bool, problem: str | None, up: float) -> None:
    """An alarm on it rings where the vectors' server is away; a server that has loaded none has none."""
    states = [ServiceState("vector_store", "vectors", is_loaded)]
    real = create_app(Config.from_env(ROOMY)).extensions[EXTENSION]
    services = replace(real, states=lambda: states, vectors_problem=lambda: problem)
    assert f"\nrag_vectors_up {up}\n" in write_metrics(services)[0].decode()
