"""Tokens and stems, against SQLite's own."""

import sqlite3
from contextlib import closing

import pytest

from src.retrieval.analyzer import content_stems, question_stems, split_compounds, split_words, stem, to_index
from tests.retrieval.corpus import TEXTS

WORDS = """
expenses expense reimbursed reimbursing reimbursement policies policy travelled travelling agreed agreement happily
running runs ran relational conditional vietnamization operator feudalism decisiveness hopefulness formality adjustable
engineers engineering notification notified max requests leave leaves employees employee's büro café naïve x1 42 yyy
"""
SCRIPTS = (
    "有給休暇は年に20日です。 วันหยุดพักผ่อน 휴가는 스무 날입니다 Größe NAÏVE الإجازة السنوية"
    " отпуск soft\u00adhyphen e\u0301t\u00e9 ﬁne Ｗｉｄｅ"
)


def terms_of_sqlite(text: str) -> set[str]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE VIRTUAL TABLE t USING fts5(x, tokenize='porter unicode61 remove_diacritics 2')")
        connection.execute("CREATE VIRTUAL TABLE v USING fts5vocab(t, row)")
        connection.execute("INSERT INTO t VALUES (?)", (to_index(text),))
        return {term for (term,) in connection.execute("SELECT term FROM v")}


@pytest.mark.parametrize("text", [WORDS, SCRIPTS, " ".join(text for _, text in TEXTS.values())])
def test_stems_are_those_that_the_index_of_words_holds(text: str) -> None:
    """One stemmer in the whole project: what a question asks for is cut as the chunks were."""
    assert {stem(word) for word in split_words(text)} == terms_of_sqlite(text)


def test_stop_words_carry_no_meaning() -> None:
    """The order of the others stays, and each form of a word counts."""
    assert content_stems("The expenses of an employee, and the expense.") == [
        stem("expense"),
        stem("employee"),
        stem("expense"),
    ]


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("How many days of leave are there?", ["days", "leave"]),
        ("How much is it?", ["much"]),
        ("Please give the list", ["give", "list"]),
    ],
)
def test_words_that_only_ask_count_where_nothing_else_is_asked(question: str, words: list[str]) -> None:
    """A chunk need not say "many" to answer how many; a question of such words alone keeps them."""
    assert question_stems(question) == {stem(word) for word in words}


def test_text_in_english_is_indexed_as_it_is() -> None:
    """Its tokens are what they were, also with a curly apostrophe and a dash."""
    assert to_index("The employee's 5 days") == "The employee's 5 days"
    assert split_words("The employee’s days – five") == ["the", "employee", "s", "days", "five"]


def test_compound_is_cut_into_its_pieces() -> None:
    """Identifiers, hyphens and addresses stay together as one word of several pieces."""
    assert split_compounds("Set MAX_requests, on-call!") == [("set",), ("max", "requests"), ("on", "call")]


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("休暇", "有給休暇は年に二十日です。"),
        ("年假", "员工每年有五天年假。"),
        ("휴가", "휴가는 스무 날입니다"),
        ("วันหยุด", "พนักงานมีวันหยุดพักผ่อน"),
        ("GROSSE", "Die Größe zählt."),
        ("conges", "Les congés payés"),
        ("الاجازة", "الإِجازة السنوية"),
        ("ОТПУСК", "Отпуск сотрудника"),
        ("automatic", "auto\u00admatic"),
    ],
)
def test_word_is_found_in_every_script(word: str, text: str) -> None:
    """Accents, case, vowel marks and unseen signs do not matter, nor that there are no blanks."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE VIRTUAL TABLE t USING fts5(x, tokenize='porter unicode61 remove_diacritics 2')")
        connection.execute("INSERT INTO t VALUES (?)", (to_index(text),))
        phrase = " ".join(piece for pieces in split_compounds(word) for piece in pieces)
        assert connection.execute("SELECT count(*) FROM t WHERE t MATCH ?", (f'"{phrase}"',)).fetchone() == (1,)
