"""OpenAI's format: whose message is the question, and what a client that shows only text gets to see."""

from typing import Any

import pytest
from flask import Flask, request

from src.errors import RequestError
from src.records import Answer, Citation, Done, MemoryMode, Retrieval, Token, Turn
from src.web.openai_format import completion_frames, completion_json, parse_completion_request
from src.web.request_parsing import ChatRequest

app = Flask(__name__)


def parse(*messages: Any, **fields: Any) -> ChatRequest:
    with app.test_request_context(method="POST", json={"messages": list(messages), **fields}):
        return parse_completion_request(request)


def says(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


def test_last_user_message_is_the_question_and_what_comes_before_it_the_history() -> None:
    """A turn that only called a tool says nothing; who instructs the LLM is not obeyed; text may come in parts."""
    parsed = parse(
        says("system", "Be rude."),
        says("user", "Leave?"),
        says("assistant", None),
        says("assistant", "27 days."),
        says("tool", "x"),
        says("user", [{"type": "text", "text": "And"}, {"type": "image_url"}, {"type": "text", "text": "travel?"}]),
        says("assistant", "Well,"),
    )
    assert (parsed.message, parsed.history) == ("And\ntravel?", (Turn("user", "Leave?"), Turn("assistant", "27 days.")))
    assert (parsed.top_k, parsed.stream) == (None, False)


def test_newest_fifty_turns_are_the_history() -> None:
    """Clients send whole conversations; the oldest turns are left out."""
    parsed = parse(*(says("user", str(number)) for number in range(60)))
    assert [turn.content for turn in parsed.history] == [str(number) for number in range(9, 59)]
    assert parsed.message == "59"


@pytest.mark.parametrize(
    ("messages", "names"),
    [
        ([], "at least one message"),
        ([says("system", "Be rude.")], 'must have the role "user"'),
        ([says("user", "a"), says("critic", "b")], r"messages\[1\].role 'critic' is unknown"),
        ([says("user", None)], r"messages\[0\].content is required"),
        ([says("user", [{"type": "image_url", "text": "a"}])], r"messages\[0\].content is empty"),
        ([{"content": "a"}], r"messages\[0\] must be"),
        (["a"], r"messages\[0\] must be"),
    ],
)
def test_bad_messages_are_a_400_that_names_the_place(messages: list[Any], names: str) -> None:
    """As in the service's own format."""
    with pytest.raises(RequestError, match=names) as caught:
        parse(*messages)
    assert caught.value.status == 400


def test_what_was_said_earlier_is_taken_as_it_is() -> None:
    """An answer of ours may be longer than a question may be, and nobody can change it."""
    chat = parse(
        {"role": "user", "content": "Paste:\x07" + "a" * 9000},
        {"role": "assistant", "content": "b" * 12_500},
        {"role": "user", "content": "Leave?"},
    )
    assert [len(turn.content) for turn in chat.history] == [8000, 8000]
    assert chat.message == "Leave?"
    with pytest.raises(RequestError, match=r"messages\[1\].content has 8001 characters"):
        parse({"role": "user", "content": "Leave?"}, {"role": "user", "content": "a" * 8001})
    assert parse({"role": "user", "content": "a\x07b"}, {"role": "user", "content": "c"}).history[0].content == "a b"


def test_no_list_of_messages_is_a_400() -> None:
    """Missing, or another type."""
    for body in ({}, {"messages": "Leave?"}):
        with app.test_request_context(method="POST", json=body), pytest.raises(RequestError, match="must be a list"):
            parse_completion_request(request)


CITATIONS = (
    Citation(1, "leave.md", "Leave", "Days", None, "27 days", 0, 7),
    Citation(2, "travel.pdf", "Travel", "", 3, "by train", 0, 8),
)
RETRIEVAL = Retrieval((), "lexical", 0, 0.0, 0.0)
FOOTNOTES = "\n\n[1] Leave, Days (leave.md)\n[2] Travel, page 3 (travel.pdf)"


def answer(*citations: Citation) -> Answer:
    return Answer("27 days [1].", True, "llm", "m", citations, RETRIEVAL, MemoryMode.NORMAL, 1.0, 2.0)


def test_footnotes_follow_the_text() -> None:
    """Title, section, page, document of each citation; nothing where nothing is cited."""
    contents = [
        completion_json(given, "a", "rag512", 0)["choices"][0]["message"]["content"]
        for given in (answer(*CITATIONS), answer())
    ]
    assert contents == ["27 days [1]." + FOOTNOTES, "27 days [1]."]


@pytest.mark.parametrize(("citations", "pieces"), [(CITATIONS, 2), ((), 1)])
def test_stream_ends_with_the_footnotes(citations: tuple[Citation, ...], pieces: int) -> None:
    """A role, the tokens, the footnotes if there are any, why it ends, and the sign that it did."""
    given = answer(*citations)
    *frames, last = completion_frames(iter([Token(given.text), Done(given)]), "a", "rag512", 0)
    assert last == "data: [DONE]\n\n"
    assert len(frames) == 1 + pieces + 1
    assert '"finish_reason": "stop"' in frames[-1]
