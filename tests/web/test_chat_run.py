"""How a chat runs for every route: admitted, counted, ended with its caller."""

import json
import socket
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from src.app_factory import create_app
from src.config import Config
from src.errors import GenerationError, ServiceUnavailable
from src.records import Answer, AnswerEvent, Done, Filters, MemoryMode, Retrieval, Sources, Token, Turn
from src.web.services import EXTENSION, Services
from tests.conftest import ROOMY

CONFIG = replace(Config.from_env(ROOMY), rate_limit="off", max_concurrent_chats=1)
RETRIEVAL = Retrieval((), "lexical", 0, 0.0, 0.0)
ANSWER = Answer("Seven [1].", True, "llm", "m", (), RETRIEVAL, MemoryMode.NORMAL, 1.0, 2.0)
ROUTES = ("/chat", "/v1/chat/completions")


class ScriptedPipeline:
    """Gives the events it is made with; an exception among them is raised."""

    def __init__(self, *script: AnswerEvent | Exception) -> None:
        self._script = script
        self.asked: list[dict[str, Any]] = []
        self.is_closed = False

    def stream(self, question: str, **options: Any) -> Generator[AnswerEvent]:
        self.asked.append({"question": question, **options})
        try:
            for event in self._script:
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self.is_closed = True


Make = Callable[..., tuple[FlaskClient, Services]]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make an app whose pipeline is scripted, in a memory mode; it loads nothing."""

    def build(pipeline: ScriptedPipeline, mode: MemoryMode = MemoryMode.DEGRADED) -> tuple[FlaskClient, Services]:
        app = create_app(CONFIG)
        services = replace(app.extensions[EXTENSION], get_rag_pipeline=lambda: pipeline)
        monkeypatch.setattr(services.memory, "observe", lambda: mode)
        app.extensions[EXTENSION] = services
        return app.test_client(), services

    return build


def body_of(route: str, *, stream: bool = False) -> dict[str, Any]:
    if route == "/chat":
        return {"message": "Days?", "stream": stream}
    return {"messages": [{"role": "user", "content": "Days?"}], "stream": stream}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("route", ROUTES)
def test_answered_chat_is_counted_and_gives_its_place_back(make: Make, route: str, stream: bool) -> None:
    """With one place, one chat after the other is answered."""
    client, services = make(ScriptedPipeline(Sources(RETRIEVAL), Token("Seven [1]."), Done(ANSWER)))
    for count in (1, 2, 3):
        response = client.post(route, json=body_of(route, stream=stream))
        assert response.status_code == 200
        assert "Seven [1]." in response.get_data(as_text=True)
        assert services.chat_counts == {"llm": count}
        response.close()


@pytest.mark.parametrize("route", ROUTES)
def test_stream_that_is_left_ends_the_work_and_gives_its_place_back(make: Make, route: str) -> None:
    """What the server closes when it cannot send the next piece is the pipeline's own iterator."""
    pipeline = ScriptedPipeline(Sources(RETRIEVAL), Token("Seven"), Token(" more"), Done(ANSWER))
    client, services = make(pipeline)
    response = client.post(route, json=body_of(route, stream=True), buffered=False)
    next(response.response)
    assert client.post(route, json=body_of(route)).get_json()["error"]["code"] == "too_many_chats"
    response.close()
    assert pipeline.is_closed
    assert services.chat_counts == {}
    assert client.post(route, json=body_of(route)).status_code == 200


@pytest.mark.parametrize(("is_gone", "status"), [(True, 499), (False, 200)])
def test_whole_answer_ends_when_its_client_has_hung_up(make: Make, is_gone: bool, status: int) -> None:
    """Nobody would read it; the LLM is not kept writing."""
    pipeline = ScriptedPipeline(Sources(RETRIEVAL), Done(ANSWER))
    client, services = make(pipeline)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        if is_gone:
            theirs.close()
        response = client.post("/chat", json=body_of("/chat"), environ_overrides={"gunicorn.socket": ours})
    assert (response.status_code, pipeline.is_closed) == (status, True)
    assert services.chat_counts == ({} if is_gone else {"llm": 1})


@pytest.mark.parametrize("route", ROUTES)
def test_chat_that_fails_before_its_answer_has_a_status(make: Make, route: str) -> None:
    """An answer that was not begun is an error response, streamed or not, and the place is free again."""
    client, _ = make(ScriptedPipeline(ServiceUnavailable("Away.", retry_after_s=9, code="vectors_unavailable")))
    for stream in (True, False, True):
        response = client.post(route, json=body_of(route, stream=stream))
        assert (response.status_code, response.headers["Retry-After"]) == (503, "9")
        assert response.get_json()["error"]["code"] == "vectors_unavailable"


@pytest.mark.parametrize("route", ROUTES)
def test_stream_that_breaks_off_ends_with_the_one_error_shape(make: Make, route: str) -> None:
    """The caller reads the same error in a stream as anywhere else."""
    client, _ = make(ScriptedPipeline(Sources(RETRIEVAL), Token("Sev"), GenerationError("The LLM stopped.")))
    for _ in range(2):
        response = client.post(route, json=body_of(route, stream=True), headers={"X-Request-ID": "one"})
        (line,) = (line for line in response.get_data(as_text=True).splitlines() if '"error"' in line)
        error = {"code": "answer_broke_off", "message": "The LLM stopped.", "request_id": "one"}
        assert json.loads(line.removeprefix("data: ")) == {"error": error}
        response.close()


def test_request_reaches_the_pipeline_whole(make: Make) -> None:
    """What is left out is the service's own: TOP_K, no history, all documents."""
    pipeline = ScriptedPipeline(Sources(RETRIEVAL), Done(ANSWER))
    client, _ = make(pipeline)
    client.post("/chat", json={"message": "Days?"})
    body = {
        "message": "And?",
        "history": [{"role": "user", "content": "Days?"}],
        "top_k": 3,
        "filters": {"document": "a"},
    }
    client.post("/chat", json=body)
    mode = MemoryMode.DEGRADED
    assert pipeline.asked == [
        {"question": "Days?", "history": (), "top_k": CONFIG.top_k, "filters": Filters(), "mode": mode},
        {"question": "And?", "history": (Turn("user", "Days?"),), "top_k": 3, "filters": Filters(("a",)), "mode": mode},
    ]


@pytest.mark.parametrize("mode", list(MemoryMode))
def test_only_degraded_mode_waits_for_nothing(make: Make, monkeypatch: pytest.MonkeyPatch, mode: MemoryMode) -> None:
    """DEGRADED answers from words alone; the other modes wait until the services are there."""
    client, services = make(ScriptedPipeline(Sources(RETRIEVAL), Done(ANSWER)), mode)
    waits: list[float] = []
    monkeypatch.setattr(services.readiness, "wait", waits.append)
    assert client.post("/chat", json={"message": "Days?"}).status_code == 200
    assert waits == ([] if mode is MemoryMode.DEGRADED else [30.0])
