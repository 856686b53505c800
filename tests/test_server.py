"""The real server, asked over HTTP as a new user would, without a key."""

import json
import re
import shutil
from pathlib import Path

import pytest
import requests

from src.app_factory import create_app
from src.config import Config
from tests.conftest import ROOMY, Server, build, corpus_places, serve

QUESTION = "How many days of annual leave do employees get?"


def error_of(response: object) -> dict[str, str]:
    body = response.json()  # type: ignore[attr-defined]
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "request_id"}
    error = body["error"]
    assert isinstance(error, dict)
    return error


def test_start_is_bare_and_the_first_chat_loads(tmp_path: Path) -> None:
    """Nothing is loaded until somebody asks; then everything is."""
    with serve(tmp_path / "log") as server:
        ready = server.get("/ready").json()
        assert (ready["ready"], ready["phase"], ready["error"]) == (False, "cold", None)
        assert not any(ready["loaded"].values())
        assert ready["index"]["chunks"] > 0
        assert server.ask(QUESTION)["grounded"]
        ready = server.get("/ready").json()
        assert (ready["ready"], ready["phase"]) == (True, "ready")
        assert all(ready["loaded"].values())


def test_opening_the_page_starts_the_load(tmp_path: Path) -> None:
    """The person's first question finds the services loading or loaded."""
    with serve(tmp_path / "log") as server:
        assert "Ask the documents" in server.get("/").text
        assert server.get("/ready").json()["phase"] in ("loading", "ready")


def test_answer_has_the_shape_of_the_contract(server: Server) -> None:
    """All keys, and no other."""
    body = server.ask(QUESTION)
    assert set(body) == {
        "answer", "grounded", "answered_by", "model", "citations", "sources", "retrieval", "mode", "notice",
        "timings_ms", "request_id",
    }  # fmt: skip
    assert set(body["timings_ms"]) == {"embed", "retrieve", "generate", "total"}
    assert set(body["citations"][0]) == {
        "marker", "document", "title", "section", "page", "excerpt", "start", "end", "highlights", "url"
    }  # fmt: skip
    assert set(body["sources"][0]) == {"rank", "chunk_id", "document", "title", "section", "page", "text", "score"}
    assert (body["answered_by"], body["model"], body["retrieval"], body["mode"]) == (
        "extractive", None, "hybrid", "NORMAL"
    )  # fmt: skip
    assert len(body["sources"]) == 12


def test_every_marker_is_a_citation_that_can_be_checked(server: Server) -> None:
    """The excerpt stands in the document at the span that the citation names."""
    body = server.ask(QUESTION)
    markers = {int(marker) for marker in re.findall(r"\[(\d+)\]", body["answer"])}
    assert markers == {citation["marker"] for citation in body["citations"]} != set()
    for citation in body["citations"]:
        text = server.get(f"/documents/{citation['document']}").json()["text"]
        assert text[citation["start"] : citation["end"]] == citation["excerpt"]
        assert server.get(citation["url"]).status_code == 200


def test_unanswered_question_is_refused_plainly(server: Server) -> None:
    """What the documents do not say is not made up; the nearest passages are named."""
    body = server.ask("What is the boiling point of tungsten on Jupiter?")
    assert (body["grounded"], body["answered_by"], body["citations"]) == (False, "none", [])
    refusal, nearest = body["answer"].split("\n\n")
    assert refusal == "The documents do not answer this question."
    assert nearest.splitlines()[1].startswith("- " + body["sources"][0]["title"])


def test_stream_ends_with_the_whole_answer(server: Server) -> None:
    """`sources` first, tokens, then `done` with the body that a plain request gets: the tokens joined."""
    response = server.post("/chat", {"message": QUESTION, "stream": True})
    assert response.headers["Content-Type"].startswith("text/event-stream")
    names = re.findall(r"^event: (\w+)$", response.text, re.MULTILINE)
    assert names[0] == "sources"
    assert names[-1] == "done"
    assert set(names[1:-1]) == {"token"}
    bodies = [json.loads(data) for data in re.findall(r"^data: (.+)$", response.text, re.MULTILINE)]
    assert "".join(body["text"] for body in bodies[1:-1]) == bodies[-1]["answer"]


def test_filter_narrows_to_the_document(server: Server) -> None:
    """Only passages of the named document are searched."""
    document = server.ask(QUESTION)["sources"][0]["document"]
    body = server.ask(QUESTION, filters={"document": document}, top_k=3)
    assert {source["document"] for source in body["sources"]} == {document}


def test_search_pages_join_without_gap_or_repeat(server: Server) -> None:
    """Two pages of five are the first page of ten, by GET and POST alike."""
    whole = server.get("/search", params={"q": "travel", "limit": 10}).json()
    first = server.post("/search", {"query": "travel", "limit": 5}).json()
    second = server.post("/search", {"query": "travel", "limit": 5, "offset": 5}).json()
    assert first["results"] + second["results"] == whole["results"]
    assert [result["rank"] for result in whole["results"]] == list(range(1, 11))
    assert set(whole) == {"query", "results", "retrieval", "total", "limit", "offset"}


def test_documents_list_is_paged_and_complete(server: Server) -> None:
    """Every indexed document can be listed and read."""
    listed = server.get("/documents", params={"limit": 50}).json()
    assert listed["total"] == server.get("/ready").json()["index"]["documents"] == len(listed["documents"])
    page = server.get("/documents", params={"limit": 2, "offset": 1}).json()
    assert page["documents"] == listed["documents"][1:3]


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("POST", "/chat", {"json": {}}, 400),
        ("POST", "/chat", {"data": "message=a"}, 415),
        ("POST", "/chat", {"json": {"message": "a", "history": ["x" * 300_000]}}, 413),
        ("GET", "/chat", {}, 405),
        ("GET", "/nothing", {}, 404),
        ("GET", "/documents/../app.py", {}, 404),
        ("GET", "/documents/..%2f..%2fapp.py", {}, 404),
        ("GET", "/search", {}, 400),
        ("GET", "/search", {"params": {"q": "a", "limit": "x"}}, 400),
    ],
)
def test_error_has_one_shape(server: Server, method: str, path: str, options: dict[str, object], status: int) -> None:
    """Whatever is wrong, the caller gets JSON with the right status and the request's id."""
    response = requests.request(method, server.url + path, timeout=30, **options)  # type: ignore[arg-type]
    assert response.status_code == status
    assert error_of(response)["request_id"] == response.headers["X-Request-ID"]


def test_plain_request_id_is_kept_and_another_replaced(server: Server) -> None:
    """A caller can follow its request; nobody can write into the log."""
    assert server.get("/health", headers={"X-Request-ID": "abc-1"}).headers["X-Request-ID"] == "abc-1"
    assert server.get("/health", headers={"X-Request-ID": "a b"}).headers["X-Request-ID"] != "a b"


def test_serving_leaves_the_index_as_it_was(server: Server) -> None:
    """Chroma changes a store on a mere query; the built one is never opened."""
    index = Path(corpus_places()["INDEX_DIR"])
    before = read_files(index)
    server.ask(QUESTION)
    assert read_files(index) == before


def test_server_without_an_index_lives_and_says_what_to_run(tmp_path: Path) -> None:
    """/health answers, and the person is told the cure."""
    with serve(tmp_path / "log", INDEX_DIR=str(tmp_path / "index")) as server:
        response = server.post("/chat", {"message": QUESTION})
        assert response.status_code == 503
        assert int(response.headers["Retry-After"]) > 0
        assert "No index in" in error_of(response)["message"]
        assert server.get("/health").json()["status"] == "healthy"
        assert server.get("/ready").json()["phase"] == "failed"


@pytest.mark.parametrize(
    ("damage", "names"),
    [
        (lambda index: (index / "manifest.json").unlink(), "half-written: manifest.json is missing"),
        (lambda index: (index / "lexical.sqlite3").unlink(), "lexical.sqlite3 in"),
        (lambda index: (index / "manifest.json").write_text("{"), "cannot be read"),
        (lambda index: (index / "lexical.sqlite3").write_bytes(b"x" * 5000), "lexical.sqlite3"),
        (lambda index: (index / "chroma_db" / "chroma.sqlite3").write_bytes(b"x" * 5000), "chroma"),
        (
            lambda index: (index / "manifest.json").write_text(
                re.sub(r'"model_fingerprint": "\w+"', '"model_fingerprint": "0"', (index / "manifest.json").read_text())
            ),
            "built with embedding model 0",
        ),
    ],
)
def test_unusable_index_is_a_503_that_names_the_cure(tmp_path: Path, damage: object, names: str) -> None:
    """The person learns what is wrong and what to run. The app is asked without a server, which would take seconds."""
    index = Path(shutil.copytree(corpus_places()["INDEX_DIR"], tmp_path / "index"))
    damage(index)  # type: ignore[operator]
    app = create_app(Config.from_env({**ROOMY, **corpus_places(), "INDEX_DIR": str(index)}))
    response = app.test_client().post("/chat", json={"message": QUESTION})
    assert response.status_code == 503
    message = response.get_json()["error"]["message"]
    assert names in message
    assert "./run.sh build" in message


def test_own_documents_are_what_answers_come_from(tmp_path: Path) -> None:
    """Three Markdown files, one build, and the answers are theirs."""
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "bees.md").write_text("# Bees\n\nOur apiary has 14 hives. They are inspected every Tuesday.\n")
    (documents / "goats.md").write_text("# Goats\n\nThe goats are milked at 6 in the morning by the shepherd.\n")
    (documents / "tractor.md").write_text(
        "# Tractor\n\n## Fuel\n\nThe tractor takes diesel; its tank holds 90 litres.\n"
    )
    places = {"DOCUMENTS_DIR": str(documents), "INDEX_DIR": str(tmp_path / "index")}
    build(places)
    with serve(tmp_path / "log", **places) as server:
        body = server.ask("How much diesel does the tank of the tractor hold?")
        assert "90 litres" in body["answer"]
        assert body["citations"][0]["document"] == "tractor.md"


def read_files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
