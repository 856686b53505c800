"""The lab's commands run against the real server."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from benchmarks import questions
from benchmarks.cgroup_box import Box, BoxUnavailable
from benchmarks.day import measure_day, visit
from benchmarks.fresh_clone import fresh_clone, read_build_command
from benchmarks.load import measure_load
from benchmarks.running_server import Server, run_server
from benchmarks.soak import measure_soak
from tests.conftest import ROOT, corpus_places

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the lab reads /proc")


@pytest.fixture(autouse=True)
def corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure the server over the tests' own corpus, not over whatever lies in `data/`."""
    for name, value in corpus_places().items():
        monkeypatch.setenv(name, value)


def run(*arguments: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "benchmarks", *arguments, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    records = json.loads(done.stdout)
    assert isinstance(records, list)
    return records


def test_imports_tells_what_each_module_costs() -> None:
    """A module with many parts costs more than one with few; one that is not installed has no numbers."""
    flask, colour, missing = run("imports", "flask", "colorsys", "no_such_module")
    assert flask["module"] == "flask"
    assert flask["anonymous_mb"] > 2 > colour["anonymous_mb"]
    assert flask["modules"] > 50 > colour["modules"]
    assert flask["cpu_s"] > colour["cpu_s"]
    assert missing["anonymous_mb"] is None


def test_timeline_sums_up_what_the_server_imports() -> None:
    """In one process, one after the other: each phase in its turn, and the sums only grow."""
    records = run("imports", "--timeline")
    phases = [record["phase"] for record in records]
    assert phases == sorted(phases, key=phases.index)
    sums = [record["sum_cpu_s"] for record in records]
    assert sums == sorted(sums)
    assert sums[-1] == pytest.approx(sum(record["cpu_s"] for record in records))


def test_day_counts_the_chats_of_each_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hand-over begins a new line, and the last line has all chats and what failed."""
    monkeypatch.setenv("MAX_REQUESTS", "4")
    monkeypatch.setenv("MAX_REQUESTS_JITTER", "0")
    try:
        with Box(cpus=None) as box:
            *lives, day = measure_day(box, questions=24)
    except BoxUnavailable as exc:
        pytest.skip(str(exc))
    assert len(lives) >= 2
    assert day["chats"] == sum(int(life["chats"] or 0) for life in lives) == 24
    assert day["failed"] == 0


def test_visit_loads_the_files_that_the_page_names(server: Server) -> None:
    """A style, the icon and every script, which all are there."""
    loaded: list[str] = []
    with requests.Session() as session:
        session.hooks["response"].append(lambda response, **_: loaded.append(response.url))
        assert visit(session, server) == 0
    scripts = [url for url in loaded if url.endswith(".js")]
    assert len(scripts) == server.get("/").text.count('.js"')
    assert any(url.endswith("/style.css") for url in loaded)
    assert any(url.endswith("/icon.svg") for url in loaded)


def test_boxed_start_is_from_what_the_host_builds() -> None:
    """The clone is compiled by the command of render.yaml, and serving writes nothing into it."""
    assert "compileall" in read_build_command()
    with fresh_clone() as clone:
        compiled = {path.stem.partition(".")[0] for path in clone.rglob("src/**/*.pyc")}
        assert {path.stem for path in clone.rglob("src/**/*.py")} <= compiled

        def written() -> set[tuple[Path, int]]:
            return {(path, path.stat().st_mtime_ns) for path in clone.rglob("*") if ".git/" not in str(path)}

        before = written()
        with run_server({"PYTHONDONTWRITEBYTECODE": ""}, cwd=clone) as server:
            server.ask("Whom do I ask?")
        assert written() == before


def test_startup_tells_each_phase() -> None:
    """Memory and CPU only grow from start to the last answer, and all thirty are answered."""
    (record,) = run("startup")
    assert 10 < record["start_mb"] < record["first_answer_mb"] <= record["peak_mb"]
    assert 0 < record["start_cpu_s"] < record["first_answer_cpu_s"]
    assert record["answered_at_once"] == "30 of 30"
    assert record["load_embedding_model_mb"] > 0
    assert record["peak_charged_mb"] is None


def test_load_counts_chats_and_failures() -> None:
    """Two clients, a few chats, none failed, by one worker."""
    record = measure_load(clients=2, chats=6)
    assert (record["failed"], record["workers"]) == (0, 1)
    assert record["chats"] >= 6
    assert 0 < record["p50_ms"] <= record["p95_ms"] <= record["p99_ms"] <= record["slowest_ms"]


def test_soak_of_new_questions_fills_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new question is one result more, a repeated one is none; the load's own search is one."""
    monkeypatch.setattr(questions, "handbook_questions", lambda: ["Whom do I ask?", "How much leave do I get?"])
    assert measure_soak(12)["cached_results"] == 1 + 12
    assert measure_soak(12, is_repeating=True)["cached_results"] == 1 + 2


def test_box_says_how_to_get_one_where_it_cannot_be_made(tmp_path: Any) -> None:
    """No cgroup file system: the message names the reason and a way, nothing runs unboxed."""
    with pytest.raises(BoxUnavailable, match="docker run"), Box(cgroup_root=tmp_path / "none"):
        pytest.fail("the body of a box that cannot be made must not run")
