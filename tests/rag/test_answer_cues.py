"""What a question's form says about its answer."""

import pytest

from src.rag.answer_cues import find_cues


@pytest.mark.parametrize(
    ("question", "answers", "does_not"),
    [
        ("When was the bridge opened?", "It was opened in March.", "It was opened by the queen."),
        ("In what year did it open?", "It opened in 1932.", "It opened late."),
        ("How many days are there?", "There are twelve.", "There are some."),
        ("Who opened it?", "It was opened by Ada Lovelace.", "It was opened early."),
        ("Where is the office?", "It is in Port Ellery.", "It is large."),
        ("Why was it closed?", "It closed because of rain.", "It closed early."),
    ],
)
def test_sentence_of_the_right_kind_has_the_cue(question: str, answers: str, does_not: str) -> None:
    """A date for "when", a number for "how many", a name for "who", a place for "where", a reason for "why"."""
    (cue,) = find_cues(question)
    assert cue.search(answers)
    assert not cue.search(does_not)


def test_other_question_asks_for_nothing_special() -> None:
    """Most questions have no cue."""
    assert find_cues("What must a password look like?") == []
