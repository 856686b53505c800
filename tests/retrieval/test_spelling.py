"""A question as it is searched for."""

import time

import pytest

from src.retrieval.spelling import MAX_LETTERS, MIN_LETTERS, clean_question, correct_slips
from src.retrieval.text_store import TextStore
from tests.fakes import WordEncoder

find_token = WordEncoder().find_token


@pytest.mark.parametrize(
    ("question", "cleaned"),
    [
        ("How many days?", "How many days"),
        ("  How   many\ndays ?! ", "How many days"),
        ("Please, how many days", "how many days"),
        ("Hi! Excuse me, how many days?", "how many days"),
        ("hello: pls how many days?", "how many days"),
        ("How many days please?", "How many days"),
        ("How many days? Thanks a lot!", "How many days"),
        ("How many days, thank you very much in advance.", "How many days"),
        ("How many days? please, thanks in advance", "How many days"),
        ("How many days… ;", "How many days"),
        ("How pleased are you?", "How pleased are you"),
        ("Highest limit", "Highest limit"),
        ("Hi-fi rules", "Hi-fi rules"),
        ("To whom do thanks go?", "To whom do thanks go"),
        ("Thanks to whom", "Thanks to whom"),
    ],
)
def test_courtesies_and_final_signs_are_left_out(question: str, cleaned: str) -> None:
    """At the beginning and at the end; words of the question that look like them stay."""
    assert clean_question(question) == cleaned


@pytest.mark.parametrize("question", ["please", "thanks", "hello", "??", "Hi, thanks!"])
def test_question_that_is_nothing_else_stays(question: str) -> None:
    """There is nothing better to search for."""
    assert clean_question(f" {question} ") == question


def test_long_question_loses_its_courtesies_too() -> None:
    """Only the end is looked at, and nothing before it is lost."""
    assert clean_question("days " * 100 + "left? Thanks!") == "days " * 100 + "left"


@pytest.mark.parametrize("part", [" ", "please ", "thanks", ",", "hi ", "?"])
def test_worst_question_takes_little_time(part: str) -> None:
    """100 kB of what a pattern begins with take less than a second."""
    started = time.process_time()
    clean_question(part * (100_000 // len(part)) + "x")
    assert time.process_time() - started < 1.0


# What the corpus holds: holiday, pager, weekly, trains, reimbursed, setting, settings.
@pytest.mark.parametrize(
    ("slip", "kind"),
    [
        ("holday", "a letter is missing"),
        ("oliday", "the first one is missing"),
        ("holida", "the last one is missing"),
        ("holidday", "a letter is too much"),
        ("holidayx", "one is too much at the end"),
        ("xholiday", "one is too much at the beginning"),
        ("holidey", "a letter is wrong"),
        ("holidaz", "the last one is wrong"),
        ("zoliday", "the first one is wrong"),
        ("hoilday", "two are changed"),
        ("ohliday", "the first two are changed"),
        ("holidya", "the last two are changed"),
    ],
)
def test_one_slip_of_each_kind_is_put_right(texts: TextStore, slip: str, kind: str) -> None:
    """Wherever it stands in the word, and whatever stands around the word."""
    assert correct_slips(f"Unused {slip}, days?", texts, find_token) == "Unused holiday, days?"


def test_word_is_put_right_wherever_it_is_written(texts: TextStore) -> None:
    """Capitals do not matter, and it may be there twice."""
    assert correct_slips("HOLDAY or holday", texts, find_token) == "holiday or holiday"


@pytest.mark.parametrize(
    "question", ["holiday pager", "giraffe", "hoolidays", "Grüße xyzzy", "days 8000 max_requests", ""]
)
def test_other_words_stay(texts: TextStore, question: str) -> None:
    """Known to a chunk or to the model, two slips away, or of nobody's language."""
    assert correct_slips(question, texts, find_token) == question


def test_short_and_long_words_stay(texts: TextStore) -> None:
    """Of three letters too many words are one slip away; nobody types twenty-one by a slip."""
    assert (MIN_LETTERS, MAX_LETTERS) == (4, 20)
    assert correct_slips("dys", texts, find_token) == "dys"
    assert correct_slips("dyas", texts, find_token) == "days"
    asked: list[str] = []
    correct_slips(f"{'x' * 20} {'y' * 21}", texts, lambda word: asked.append(word))  # type: ignore[func-returns-value]
    assert "x" * 20 in asked
    assert "y" * 21 not in asked


def test_word_that_most_chunks_hold_is_taken(texts: TextStore) -> None:
    """ "dayt" is one slip from "days", which two chunks hold, and from no other word; "boek" from "book"."""
    assert correct_slips("dayt boek", texts, find_token) == "days book"


class Words:
    """A store that knows how many chunks hold a word."""

    def __init__(self, **held: int) -> None:
        self.held = held
        self.queries = 0

    def query(self, sql: str, parameters: "tuple[str]") -> "list[tuple[str, int]]":
        self.queries += 1
        return [(word, count) for word, count in self.held.items() if f'"{word}"' in parameters[0]]


def test_more_chunks_win_and_then_the_alphabet() -> None:
    """Of candidates that the documents hold; the model's words count only where there is none."""
    assert correct_slips("paunt", Words(paint=1, punt=3), find_token) == "punt"  # type: ignore[arg-type]
    assert correct_slips("paunt", Words(punt=2, daunt=2), find_token) == "daunt"  # type: ignore[arg-type]
    assert correct_slips("paunt", Words(punt=1), find_token) == "punt"  # type: ignore[arg-type]


def test_word_with_accents_that_a_chunk_holds_stays() -> None:
    """The index holds it without them; "kennen" is one letter from it and another word."""
    words = Words(konnen=1, kennen=3)
    assert correct_slips("Was können wir?", words, lambda _: None) == "Was können wir?"  # type: ignore[arg-type]


def test_more_frequent_word_of_the_model_wins() -> None:
    """ "pxint" is one slip from "paint" and from "point"; the model has met "paint" more often."""
    assert correct_slips("pxint", Words(), find_token) == "paint"  # type: ignore[arg-type]


def test_known_words_cost_one_look() -> None:
    """A question without slips is looked up once."""
    words = Words(days=1, leave=2)
    assert correct_slips("days leave", words, find_token) == "days leave"  # type: ignore[arg-type]
    assert words.queries == 1
