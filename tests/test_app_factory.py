"""Services are built once, on first use, however many ask at once; a failed build is not kept."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Event

import pytest

from src.app_factory import BuildOnce, create_app
from src.config import Config
from src.errors import IndexMissing, ServiceUnavailable
from src.readiness import Readiness
from src.web.services import EXTENSION

CONFIG = Config.from_env({})


def test_cold_callers_meet_and_one_builds() -> None:
    """`lru_cache` alone builds once for each of the threads that meet cold."""
    barrier, built = Barrier(8), []

    @BuildOnce
    def get_thing(config: Config) -> object:
        built.append(config)
        return object()

    def ask() -> object:
        barrier.wait()
        return get_thing(CONFIG)

    with ThreadPoolExecutor(8) as pool:
        things = {id(future.result()) for future in [pool.submit(ask) for _ in range(8)]}
    assert len(things) == len(built) == 1


def test_failed_build_is_tried_again() -> None:
    """A cure takes effect without a restart."""
    outcomes = iter([IndexMissing("none"), "thing"])

    @BuildOnce
    def get_thing(config: Config) -> str:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    with pytest.raises(IndexMissing):
        get_thing(CONFIG)
    assert not get_thing.is_built
    assert get_thing(CONFIG) == "thing"
    assert get_thing.is_built


def test_app_with_no_index_starts_and_says_what_to_run(tmp_path: Path) -> None:
    """A missing index is no reason not to answer /health and /ready."""
    app = create_app(replace(CONFIG, index_dir=tmp_path))
    client = app.test_client()
    assert client.get("/health").status_code == 200
    ready = client.get("/ready").get_json()
    assert (ready["phase"], ready["index"]) == ("cold", None)
    assert "./run.sh build" in ready["error"]


def test_first_caller_starts_the_load_and_phases_follow() -> None:
    """cold, loading, ready: the page shows them."""
    may_end = Event()
    readiness = Readiness(may_end.wait)  # type: ignore[arg-type]
    assert readiness.phase == "cold"
    with pytest.raises(ServiceUnavailable, match="starting up") as caught:
        readiness.wait(0.01)
    assert caught.value.retry_after_s > 0
    assert readiness.phase == "loading"
    may_end.set()
    readiness.wait(10)
    assert (readiness.phase, readiness.error) == ("ready", None)


def test_failed_load_tells_why_and_reset_makes_it_cold() -> None:
    """The reason reaches /ready and the caller; unloaded services are cold again."""

    def fail() -> None:
        raise IndexMissing("No index in x. Run ./run.sh build to rebuild the index.")

    readiness = Readiness(fail)
    with pytest.raises(ServiceUnavailable, match=r"\./run\.sh build"):
        readiness.wait(10)
    assert readiness.phase == "failed"
    assert "No index in x" in (readiness.error or "")
    readiness.reset()
    assert readiness.phase == "cold"


def test_unexpected_failure_is_not_told_to_the_caller() -> None:
    """A stack trace's text may hold a path or a key; the log has it."""

    def fail() -> None:
        raise RuntimeError("/secret/path")

    readiness = Readiness(fail)
    with pytest.raises(RuntimeError):
        readiness.wait(10)
    assert "secret" not in (readiness.error or "")


def test_chat_slots_are_as_many_as_configured() -> None:
    """One more than MAX_CONCURRENT_CHATS is turned away, with a time to come back."""
    app = create_app(replace(CONFIG, max_concurrent_chats=1))
    assert app.extensions[EXTENSION].chat_slots.acquire(blocking=False)
    response = app.test_client().post("/chat", json={"message": "Why?"})
    assert response.status_code == 503
    assert response.get_json()["error"]["code"] == "too_many_chats"
    assert int(response.headers["Retry-After"]) > 0
