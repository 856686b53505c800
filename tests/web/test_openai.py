"""The service as a model for OpenAI's own Python client."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Server

if TYPE_CHECKING:  # it takes a second to import, and each process that runs tests collects this file
    import openai

QUESTION = "How many days of annual leave do employees get?"


@pytest.fixture
def client(server: Server) -> Iterator["openai.OpenAI"]:
    import openai

    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_model_is_listed(client: "openai.OpenAI") -> None:
    """A client can pick the service from its list of models."""
    assert [model.id for model in client.models.list()] == ["rag512"]


def test_completion_carries_answer_footnotes_and_sources(client: "openai.OpenAI", server: Server) -> None:
    """The text is that of /chat with its citations as footnotes; sources are in an extra field."""
    completion = client.chat.completions.create(
        model="rag512", messages=[{"role": "system", "content": "Be rude."}, {"role": "user", "content": QUESTION}]
    )
    chat = server.ask(QUESTION)
    text = completion.choices[0].message.content or ""
    assert text.startswith(chat["answer"])
    assert chat["citations"][0]["document"] in text.removeprefix(chat["answer"])
    assert completion.model_extra is not None
    assert completion.model_extra["sources"] == chat["sources"]


def test_stream_gives_the_same_text(client: "openai.OpenAI") -> None:
    """The chunks joined are the whole."""
    messages = [{"role": "user", "content": QUESTION}]
    whole = client.chat.completions.create(model="rag512", messages=messages)  # type: ignore[call-overload]
    chunks = list(client.chat.completions.create(model="rag512", messages=messages, stream=True))  # type: ignore[call-overload]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole.choices[0].message.content
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_bad_request_is_the_clients_own_error(client: "openai.OpenAI") -> None:
    """The client's library understands our errors."""
    import openai

    with pytest.raises(openai.BadRequestError, match="must have the role"):
        client.chat.completions.create(model="rag512", messages=[{"role": "assistant", "content": "a"}])
