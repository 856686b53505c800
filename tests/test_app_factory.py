"""Services are built once, on first use, however many ask at once; a failed build is not kept."""

import shutil
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Event

import pytest

from src.app_factory import (
    SERVICES,
    Service,
    create_app,
    get_embedding_service,
    get_integrity,
    get_vector_store,
    read_manifest,
    unload_services,
)
from src.config import Config
from src.errors import ArtifactError, RagError, ServiceUnavailable
from src.readiness import BuildOnce, Readiness
from src.web.services import EXTENSION
from tests.conftest import ROOMY, corpus_places

CONFIG = Config.from_env(ROOMY)


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
    outcomes = iter([ArtifactError("none"), "thing"])

    @BuildOnce
    def get_thing(config: Config) -> str:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    with pytest.raises(ArtifactError):
        get_thing(CONFIG)
    assert get_thing.peek(CONFIG) is None
    assert get_thing(CONFIG) == "thing"
    assert get_thing.peek(CONFIG) == "thing"
    get_thing.clear(CONFIG)
    assert get_thing.peek(CONFIG) is None


def test_peek_neither_builds_nor_waits() -> None:
    """`/ready` and `/metrics` look at what is loaded while something loads."""
    begun, may_end = Event(), Event()

    @BuildOnce
    def get_thing(config: Config) -> str:
        begun.set()
        may_end.wait(10)
        return "thing"

    with ThreadPoolExecutor(1) as pool:
        built = pool.submit(get_thing, CONFIG)
        begun.wait(10)
        assert get_thing.peek(CONFIG) is None
        may_end.set()
        assert built.result() == get_thing.peek(CONFIG)


def test_app_with_no_index_starts_and_says_what_to_run(tmp_path: Path) -> None:
    """A missing index is no reason not to answer /health and /ready."""
    app = create_app(replace(CONFIG, index_dir=tmp_path))
    client = app.test_client()
    assert client.get("/health").status_code == 200
    ready = client.get("/ready").get_json()
    assert (ready["phase"], ready["index"], ready["vectors_error"]) == ("cold", None, None)
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
        raise ArtifactError("No index in x. Run ./run.sh build to rebuild the index.")

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
    with pytest.raises(ServiceUnavailable, match="the log says why") as caught:
        readiness.wait(10)
    assert caught.value.code == "services_unusable"
    assert "secret" not in (readiness.error or "")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/chat", {"message": "Why?"}),
        ("POST", "/chat", {"message": "Why?", "stream": True}),
        ("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "Why?"}]}),
        ("POST", "/search", {"query": "Why?"}),
        ("GET", "/search?q=why", None),
        ("GET", "/documents?q=why", None),
    ],
)
def test_places_are_as_many_as_configured(method: str, path: str, body: dict[str, object] | None) -> None:
    """One chat or search more than MAX_CONCURRENT_CHATS is turned away, with a time to come back; a probe is not."""
    app = create_app(replace(CONFIG, max_concurrent_chats=1))
    assert app.extensions[EXTENSION].slots.acquire(blocking=False)
    client = app.test_client()
    response = client.open(path, method=method, json=body, headers={"Accept": "text/html"})
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert client.get("/health").status_code == 200
    app.extensions[EXTENSION].slots.release()
    assert client.get("/documents?q=why", headers={"Accept": "text/html"}).status_code == 200


def test_two_apps_neither_evict_nor_clear_each_others_services() -> None:
    """Services belong to a Config: what one app loads and unloads is nothing to the other."""
    first, second = CONFIG, replace(CONFIG, top_k=7)
    apps = [create_app(config).extensions[EXTENSION] for config in (first, second)]
    indexes = [app.get_index() for app in apps]
    assert indexes[0] is not indexes[1]
    assert [app.get_index() for app in apps] == indexes
    for app in apps:
        app.warm_up()
    unload_services(first, apps[0].readiness)
    assert [app.loaded()["embedding_service"] for app in apps] == [False, True]
    assert [app.readiness.phase for app in apps] == ["cold", "ready"]
    assert [app.get_index() for app in apps] == indexes


def test_nothing_of_a_failed_load_stays(tmp_path: Path) -> None:
    """The next load sees the disk as it is then: an index that was repaired is read from its manifest on."""
    shutil.copytree(corpus_places()["INDEX_DIR"], tmp_path / "index")
    config = replace(CONFIG, index_dir=tmp_path / "index", model_dir=tmp_path / "model")
    services = create_app(config).extensions[EXTENSION]
    shutil.copytree(CONFIG.model_dir, tmp_path / "model")
    (tmp_path / "model" / "model.onnx").rename(tmp_path / "away")
    with pytest.raises(RagError):
        services.warm_up()
    assert not any(services.loaded().values())


def test_probes_and_pages_do_not_wait_for_a_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a service is being built, everything that needs none answers; /ready names it in words."""
    may_end = Event()

    def build(config: Config) -> None:
        may_end.wait(60)
        raise ArtifactError("none")

    monkeypatch.setattr("src.app_factory.SERVICES", (Service("slow", "slow thing", BuildOnce(build)),))
    app = create_app(replace(CONFIG, top_k=9))
    client = app.test_client()
    load = app.extensions[EXTENSION].readiness.start()
    for path in ("/health", "/memory/stats", "/memory/report", "/metrics", "/", "/memory", "/docs", "/openapi.json"):
        assert client.get(path).status_code == 200, path
    ready = client.get("/ready").get_json()
    assert (ready["phase"], ready["loading"], ready["loaded"]) == ("loading", "slow thing", {"slow": False})
    may_end.set()
    assert isinstance(load.exception(60), ArtifactError)
    assert client.get("/ready").get_json()["loading"] is None


def test_table_of_services_drives_load_ready_and_unload() -> None:
    """What is listed is loaded and named by /ready; what is heavy is let go, and words can still be searched."""
    config = Config.from_env({**ROOMY, **corpus_places(), "TOP_K": "8"})
    app = create_app(config)
    services = app.extensions[EXTENSION]
    assert list(app.test_client().get("/ready").get_json()["loaded"]) == [service.name for service in SERVICES]
    services.warm_up()
    assert all(services.loaded().values())
    heavy = [weakref.ref(get(config)) for get in (get_embedding_service, get_vector_store)]
    unload_services(config, services.readiness)
    assert [reference() for reference in heavy] == [None, None]
    assert services.loaded() == {service.name: not service.is_heavy for service in SERVICES}
    assert services.get_index().search("leave", limit=1, kind="lexical").hits
    assert services.loaded() == {service.name: not service.is_heavy for service in SERVICES}


def test_server_of_vectors_makes_their_files_needless(tmp_path: Path) -> None:
    """With CHROMA_URL a host may lack them; the texts are checked as ever."""
    shutil.copytree(corpus_places()["INDEX_DIR"], tmp_path / "index", ignore=shutil.ignore_patterns("chroma_db"))
    config = replace(CONFIG, index_dir=tmp_path / "index")
    with pytest.raises(ArtifactError, match="has 0 bytes"):
        read_manifest(config)
    config = replace(config, chroma_url="http://127.0.0.1:1")
    manifest = read_manifest(config)
    assert manifest.results.chunks > 0
    get_integrity(config).check_index(manifest)
    texts = tmp_path / "index" / "lexical.sqlite3"
    texts.write_bytes(texts.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError, match=r"lexical\.sqlite3 is damaged"):
        get_integrity(config).check_index(manifest)
    texts.write_bytes(b"short")
    with pytest.raises(ArtifactError, match="has 5 bytes"):
        read_manifest(config)
