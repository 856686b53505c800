"""What was said before a question, and messages that are no question."""

import pytest

from src.rag.conversation import (
    MAX_EARLIER_CHARS,
    MAX_HISTORY_CHARS,
    MAX_TITLES,
    bound_history,
    put_in_context,
    reply_to_small_talk,
)
from src.records import Turn

TALK = (Turn("user", "How many days of paid leave do employees have?"), Turn("assistant", "27 days."))


def titles(count: int) -> "list[str]":
    return [f"Title {number}" for number in range(1, count + 1)]


def reply(message: str, documents: int = 5) -> str | None:
    return reply_to_small_talk(message, lambda limit: (titles(documents)[:limit], documents))


def test_question_is_put_after_the_persons_own_words() -> None:
    """The person's words help a search, the assistant's do not."""
    expected = "How many days of paid leave do employees have? and for contractors?"
    assert put_in_context("and for contractors?", TALK) == expected


def test_question_without_a_conversation_has_no_context() -> None:
    """Nor is what only the assistant said one."""
    assert put_in_context("why?", ()) is None
    assert put_in_context("why?", (Turn("assistant", "Welcome!"),)) is None


def test_chain_of_follow_ups_reaches_its_subject() -> None:
    """A question of two meaningful words takes the one before it along."""
    talk = (Turn("user", "Is there a gym?"), *TALK, Turn("user", "and for external contractors?"))
    expected = "How many days of paid leave do employees have? and for external contractors? why?"
    assert put_in_context("why?", talk) == expected


def test_question_with_a_subject_needs_none_before_it() -> None:
    """From three meaningful words on, what was asked earlier still is left out."""
    talk = (*TALK, Turn("user", "Do contractors wear badges?"))
    assert put_in_context("why?", talk) == "Do contractors wear badges? why?"


def test_long_earlier_question_is_cut() -> None:
    """A pasted page before the question does not drown it."""
    context = put_in_context("why?", (Turn("user", "word " * 1000),))
    assert context is not None
    assert len(context) == MAX_EARLIER_CHARS + len(" why?")


def test_oldest_turns_are_dropped_first() -> None:
    """What fits is the end of the conversation; a turn that fits exactly stays."""
    talk = [Turn("user", letter * 40) for letter in "abc"]
    assert bound_history(talk, max_chars=119) == tuple(talk[1:])
    assert bound_history(talk, max_chars=120) == tuple(talk)


def test_turn_before_one_that_is_too_long_is_dropped_too() -> None:
    """A conversation has no holes."""
    talk = [Turn("user", "a"), Turn("assistant", "b" * MAX_HISTORY_CHARS), Turn("user", "c")]
    assert bound_history(talk) == (talk[2],)


@pytest.mark.parametrize("message", ["Thanks!", "ok, thank you very much", "Great, thanks, bye", "thx", "cheers."])
def test_thanks_are_welcome(message: str) -> None:
    """A word of thanks is no question."""
    assert reply(message) == "You are welcome."


@pytest.mark.parametrize("message", ["Bye.", "goodbye", "See you later!"])
def test_farewell_is_returned(message: str) -> None:
    """A person who leaves asks nothing."""
    assert reply(message) == "Goodbye!"


@pytest.mark.parametrize("message", ["Hi", "hello!", "Good morning", "Hey there, how are you?"])
def test_greeting_says_what_can_be_asked(message: str) -> None:
    """The first titles show a new person what is there."""
    expected = (
        "Hello! I answer questions from 5 documents, such as “Title 1”, “Title 2” and “Title 3”, "
        "and show where each answer stands."
    )
    assert (reply(message) or "").startswith(expected)


@pytest.mark.parametrize(
    "message", ["help", "What can you do?", "what can I ask", "who are you", "How does this work?"]
)
def test_help_says_the_same_without_a_greeting(message: str) -> None:
    """Somebody who asks for help was greeted already."""
    assert (reply(message) or "").startswith("I answer questions from 5 documents, such as “Title 1”,")


def test_one_document_is_named_alone() -> None:
    """One is no plural and has no "and"."""
    assert (reply("hi", documents=1) or "").startswith(
        "Hello! I answer questions from one document, such as “Title 1”, and"
    )


def test_empty_index_is_owned_up_to() -> None:
    """Nothing is promised that is not there."""
    assert reply("hi", documents=0) == "Hello! No documents are indexed yet."
    assert reply("list the documents", documents=0) == "No documents are indexed yet."


@pytest.mark.parametrize(
    "message",
    ["which documents do you have?", "List the documents", "show me all files", "What documents are there?",
     "what is in the documents?", "table of contents", "which sources"],
)  # fmt: skip
def test_documents_are_listed_by_title(message: str) -> None:
    """One a line, as a list of Markdown."""
    assert reply(message, documents=2) == "I answer from 2 documents:\n\n- Title 1\n- Title 2"


def test_long_list_of_documents_ends_with_a_count() -> None:
    """Twenty titles are enough to read; all twenty are listed without a rest."""
    lines = (reply("list documents", documents=MAX_TITLES + 3) or "").splitlines()
    assert lines[-2:] == [f"- Title {MAX_TITLES}", "- and 3 more"]
    assert (reply("list documents", documents=MAX_TITLES) or "").splitlines()[-1] == f"- Title {MAX_TITLES}"


@pytest.mark.parametrize(
    "message",
    ["Hi, how many days of leave are there?", "Thanks to whom?", "hello world program", "Good day rates?", "?",
     "help desk hours", "which documents do I need for a visa?", "list the documents for parental leave",
     "how does this work for contractors?", "bye-laws", "what is this form for?"],
)  # fmt: skip
def test_question_is_no_small_talk(message: str) -> None:
    """A question with a greeting before it, or that goes on, is a question."""
    assert reply(message) is None


def test_titles_are_asked_for_only_where_they_are_shown() -> None:
    """A question costs no look into the list of documents."""

    def refuse(limit: int) -> "tuple[list[str], int]":
        raise AssertionError(limit)

    assert reply_to_small_talk("thanks", refuse) == "You are welcome."
    assert reply_to_small_talk("How much leave?", refuse) is None
