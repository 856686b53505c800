"""Bodies are strict: a wrong type, range or character is a 400 that names the field, and nothing is guessed."""

import json
from typing import Any

import pytest
from flask import Flask, request

from src.errors import RequestError
from src.records import Filters, Turn
from src.web.request_parsing import (
    parse_chat_request,
    parse_feedback,
    parse_offset,
    parse_search_arguments,
    parse_search_body,
)

app = Flask(__name__)


def chat(body: Any, **options: Any) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    options.setdefault("content_type", "application/json")
    with app.test_request_context("/chat", method="POST", data=data, **options):
        return parse_chat_request(request)


def test_message_alone_is_enough() -> None:
    """Only `message` is required."""
    parsed = chat({"message": "How many days?"})
    assert (parsed.message, parsed.history, parsed.top_k) == ("How many days?", (), None)
    assert (parsed.filters, parsed.stream) == (Filters(), False)


def test_question_is_accepted_for_message() -> None:
    """Both names that RAG services use are understood."""
    assert chat({"question": "Why?"}).message == "Why?"


def test_every_field_is_read() -> None:
    """The whole body of the contract is understood."""
    parsed = chat(
        {
            "message": "and for contractors?",
            "history": [{"role": "user", "content": "Leave?"}, {"role": "assistant", "content": "25 days."}],
            "top_k": 20,
            "filters": {"document": ["leave.md", "travel.md"]},
            "stream": True,
        }
    )
    assert parsed.history == (Turn("user", "Leave?"), Turn("assistant", "25 days."))
    assert (parsed.top_k, parsed.filters, parsed.stream) == (20, Filters(("leave.md", "travel.md")), True)


def test_accept_header_asks_for_a_stream() -> None:
    """`Accept: text/event-stream` is the standard's way to ask."""
    assert chat({"message": "Why?"}, headers={"Accept": "text/event-stream"}).stream


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({}, "message is required"),
        ({"message": ""}, "message is empty"),
        ({"message": " \n\t"}, "message is empty"),
        ({"message": 5}, "message is required and must be a string"),
        ({"message": None}, "message is required"),
        ({"message": "x" * 2001}, "message has 2001 characters"),
        ({"message": "a\x00b"}, r"message holds the control character U\+0000 at 1"),
        ({"message": "a\x1b[2J"}, r"U\+001B"),
        (b'{"message": "\\ud800"}', r"U\+D800"),
        ({"message": "a", "question": "b"}, "either message or question"),
        ({"message": "a", "topk": 3}, "Unknown field 'topk'"),
        ({"message": "a", "top_k": 0}, "top_k must be a whole number from 1 to 20"),
        ({"message": "a", "top_k": 21}, "top_k"),
        ({"message": "a", "top_k": True}, "top_k"),
        ({"message": "a", "top_k": "5"}, "top_k"),
        ({"message": "a", "top_k": 5.5}, "top_k"),
        ({"message": "a", "top_k": None}, "top_k"),
        ({"message": "a", "stream": "yes"}, "stream must be true or false"),
        ({"message": "a", "history": "b"}, "history must be a list"),
        ({"message": "a", "history": [{"role": "user", "content": "b"}] * 51}, "at most 50"),
        ({"message": "a", "history": [{"role": "system", "content": "b"}]}, r"history\[0\].role"),
        ({"message": "a", "history": [{"role": "user"}]}, r"history\[0\] must be"),
        ({"message": "a", "history": [{"role": "user", "content": 1}]}, r"history\[0\].content is required"),
        ({"message": "a", "filters": []}, "filters must be"),
        ({"message": "a", "filters": {"title": "b"}}, "filters must be"),
        ({"message": "a", "filters": {"document": 3}}, "filters.document"),
        ({"message": "a", "filters": {"document": [3]}}, "filters.document"),
        ({"message": "a", "filters": {"document": ["b"] * 101}}, "at most 100 paths"),
        ({"message": "a", "history": [{"role": "user", "content": "b" * 8001}]}, "has 8001 characters"),
        ([], "must be a JSON object"),
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b'{"message": "a", "top_k": NaN}', "NaN is not JSON"),
        (b'{"message": "a", "message": "b"}', "stands twice"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"message": "\xff"}', "not valid JSON"),
    ],
)
def test_bad_body_is_a_400_that_names_the_field(body: Any, names: str) -> None:
    """The caller learns which field to mend."""
    with pytest.raises(RequestError, match=names) as caught:
        chat(body)
    assert caught.value.status == 400


def test_bounds_themselves_are_allowed() -> None:
    """The longest message, history and list of documents; and 5.0 is a whole number in JSON."""
    turns = [{"role": "user", "content": "b" * 8000}] * 50
    parsed = chat({"message": "x" * 2000, "history": turns, "top_k": 1, "filters": {"document": ["c"] * 100}})
    assert (len(parsed.message), len(parsed.history), parsed.top_k, len(parsed.filters.documents)) == (2000, 50, 1, 100)
    assert chat({"message": "a", "top_k": 5.0}).top_k == 5


def test_other_content_type_is_415() -> None:
    """A form is not JSON."""
    with pytest.raises(RequestError, match="Content-Type: application/json") as caught:
        chat(b"message=a", content_type="application/x-www-form-urlencoded")
    assert caught.value.status == 415


def test_line_breaks_and_any_script_are_kept() -> None:
    """Only control characters are refused, not languages."""
    text = "Wie viele Urlaubstage?\n休暇は何日？\t🙂"
    assert chat({"message": text}).message == text


def test_search_defaults_and_ranges() -> None:
    """Search pages are of 10 unless asked otherwise, of 50 at most."""
    with app.test_request_context("/search", method="POST", json={"query": "leave"}):
        parsed = parse_search_body(request)
    assert (parsed.limit, parsed.offset) == (10, 0)
    with (
        app.test_request_context("/search", method="POST", json={"query": "leave", "limit": 51}),
        pytest.raises(RequestError, match="limit must be a whole number from 1 to 50"),
    ):
        parse_search_body(request)


@pytest.mark.parametrize("text", ["-1", "1e3", "", "٣", "9" * 5000, " 5"])
def test_odd_number_in_a_query_string_is_a_400(text: str) -> None:
    """A query string holds plain digits."""
    with pytest.raises(RequestError, match="limit"):
        parse_search_arguments({"q": "leave", "limit": text})


def test_query_string_is_read_up_to_its_bounds() -> None:
    """Pages of 50, anywhere in a long list; a place in a document is any number."""
    parsed = parse_search_arguments({"q": "x" * 500, "limit": "50", "offset": "100000000"})
    assert (len(parsed.query), parsed.limit, parsed.offset) == (500, 50, 100_000_000)
    assert parse_search_arguments({"q": "a", "offset": "3"}).offset == 3
    assert [parse_offset({}), parse_offset({"offset": "123456789"})] == [0, 123_456_789]
    for arguments in ({"q": "a", "offset": "100000001"}, {"q": "a", "limit": "0"}, {"q": "x" * 501}, {}):
        with pytest.raises(RequestError):
            parse_search_arguments(arguments)
    with pytest.raises(RequestError, match="offset must be a whole number"):
        parse_offset({"offset": "-1"})


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"helpful": True}, "request_id is required"),
        ({"request_id": "a" * 65, "helpful": True}, "up to 64"),
        ({"request_id": "a b", "helpful": True}, "up to 64"),
        ({"request_id": 5, "helpful": True}, "request_id is required"),
        ({"request_id": "a"}, "helpful is required"),
        ({"request_id": "a", "helpful": "yes"}, "helpful is required"),
        ({"request_id": "a", "helpful": True, "comment": "b"}, "Unknown field 'comment'"),
    ],
)
def test_feedback_names_the_answer_and_says_yes_or_no(body: dict[str, Any], names: str) -> None:
    """Nothing else is taken: a comment would be kept by nobody."""
    with app.test_request_context(method="POST", json={"request_id": "a" * 64, "helpful": False}):
        assert parse_feedback(request) == ("a" * 64, False)
    with app.test_request_context(method="POST", json=body), pytest.raises(RequestError, match=names):
        parse_feedback(request)
