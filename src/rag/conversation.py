"""What was said before a question, and messages that are no question: greetings, thanks, "what can you do"."""

import re
from collections.abc import Callable, Sequence

from src.records import Turn
from src.retrieval.analyzer import question_stems

# About 1,000 tokens of English.
MAX_HISTORY_CHARS = 4000
MAX_EARLIER_CHARS = 400
# An earlier question of fewer meaningful words than this needs the one before it too.
MIN_STEMS = 3
MAX_TITLES = 20
NOTHING_INDEXED = "No documents are indexed yet."

_GREETING = re.compile(
    r"(?:hi|hello|hey|hiya|greetings|good (?:morning|afternoon|evening|day))(?: there| all| everyone)?"
    r"(?:,? how are you(?: doing)?(?: today)?)?",
    re.IGNORECASE,
)
_THANKS = re.compile(
    r"(?:(?:ok|okay|great|perfect|cool),? )?"
    r"(?:many thanks|thanks(?: a lot| so much)?|thank you(?: (?:very|so) much)?|thx|cheers)"
    r"(?:,? (?:bye|goodbye|that helps|that helped))?",
    re.IGNORECASE,
)
_FAREWELL = re.compile(r"(?:bye(?: bye)?|goodbye|see you(?: later)?)", re.IGNORECASE)
_HELP = re.compile(
    r"(?:help(?: me)?|what can (?:you|i) (?:do|ask)(?: here| you)?|what (?:do|can) you (?:know|do|help (?:me )?with)|"
    r"who are you|how (?:does|do) (?:this|you) work|what is this)",
    re.IGNORECASE,
)
_CONTENTS = re.compile(
    r"(?:(?:which|what) (?:documents?|files?|sources?)"
    r"(?: (?:do you (?:have|know)|are (?:there|indexed|here)|can you (?:read|search)))?|"
    r"(?:list|show)(?: me)?(?: all)?(?: (?:the|your))? (?:documents?|files?|sources?)|"
    r"what (?:is|are) in (?:the|your) (?:documents?|files?)|table of contents)",
    re.IGNORECASE,
)


def bound_history(history: Sequence[Turn], max_chars: int = MAX_HISTORY_CHARS) -> tuple[Turn, ...]:
    """Keep the newest turns that fit, oldest dropped first."""
    kept: list[Turn] = []
    room = max_chars
    for turn in reversed(history):
        room -= len(turn.content)
        if room < 0:
            break
        kept.append(turn)
    return tuple(reversed(kept))


def put_in_context(question: str, history: Sequence[Turn]) -> str | None:
    """Return the question with the person's question before it; None where there is none.

    A short question before it takes the one before with it, so that a chain of follow-ups reaches back to its subject.
    """
    asked = [turn.content[:MAX_EARLIER_CHARS] for turn in history if turn.role == "user"]
    if not asked:
        return None
    earlier = asked[-2:] if len(question_stems(asked[-1])) < MIN_STEMS else asked[-1:]
    return " ".join([*earlier, question])


def reply_to_small_talk(message: str, list_titles: Callable[[int], tuple[list[str], int]]) -> str | None:
    """Return a useful line for a message that asks nothing of the documents' content; None for anything else.

    Args:
        list_titles: gives the first titles, up to a number, and how many documents there are.
    """
    text = " ".join(message.split()).strip(" .!?,")
    if _THANKS.fullmatch(text):
        return "You are welcome."
    if _FAREWELL.fullmatch(text):
        return "Goodbye!"
    if _GREETING.fullmatch(text) or _HELP.fullmatch(text):
        titles, total = list_titles(3)
        hello = "Hello! " if _GREETING.fullmatch(text) else ""
        if not titles:
            return hello + NOTHING_INDEXED
        return (
            f"{hello}I answer questions from {_count(total)}, such as {_join(titles)}, and show where "
            "each answer stands. Ask in a sentence or in keywords."
        )
    if _CONTENTS.fullmatch(text):
        titles, total = list_titles(MAX_TITLES)
        if not titles:
            return NOTHING_INDEXED
        lines = "".join(f"\n- {title}" for title in titles)
        rest = f"\n- and {total - len(titles)} more" if total > len(titles) else ""
        return f"I answer from {_count(total)}:\n{lines}{rest}"
    return None


def _count(total: int) -> str:
    return "one document" if total == 1 else f"{total} documents"


def _join(titles: Sequence[str]) -> str:
    quoted = [f"“{title}”" for title in titles]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
