"""What an LLM is asked: the rules in `prompts/answer.txt`, the conversation, the passages as numbered quotations.

`prompts/answer.txt` is the place to change how the LLM answers. Two things must stay, because the code reads them in
its answer: passages are cited as `[n]` (`citations.py`), and `{not_answered}` are the words by which the LLM says that
the passages do not answer (`is_refusal`). Everything is bounded in characters; English has about four to a token.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import dropwhile
from pathlib import Path

from src.rag.chat_client import ChatMessage
from src.records import Hit, Turn

# About 4,000 tokens: free models take 8,000, the answer and the conversation included.
MAX_PASSAGES_CHARS = 16_000
NOT_ANSWERED = "NOT ANSWERED"

_TAG = re.compile(r"<(?=\s*+/?\s*+(?:passages?|question|conversation)\b)", re.IGNORECASE)


def build_answer_messages(question: str, hits: Sequence[Hit], history: Sequence[Turn]) -> list[ChatMessage]:
    """Ask for an answer with citations.

    Args:
        hits: numbered from 1 in this order; those that do not fit are left out from the end.
        history: bounded already, oldest first.
    """
    passages = "\n".join(_quote_passages(hits))
    content = f"<passages>\n{passages}\n</passages>\n\n<question>\n{_quote(question)}\n</question>"
    # A history that was cut may begin with an answer, which some models refuse.
    from_question = dropwhile(lambda turn: turn.role == "assistant", history)
    earlier = [ChatMessage(turn.role, turn.content) for turn in from_question]
    return [ChatMessage("system", read_rules()), *earlier, ChatMessage("user", content)]


def is_refusal(text: str) -> bool:
    """Tell whether an LLM's answer begins with the agreed words, whatever Markdown is around them."""
    return _letters(text).startswith(NOT_ANSWERED)


def may_become_refusal(text: str) -> bool:
    """Tell whether a text that still grows is, or may become, a refusal."""
    letters = _letters(text)
    return letters.startswith(NOT_ANSWERED) or NOT_ANSWERED.startswith(letters)


def _letters(text: str) -> str:
    return " ".join(re.findall(r"[^\W\d_]+", text[:200])).upper()


def choose_passages(hits: Sequence[Hit]) -> Sequence[Hit]:
    """Return the passages that an LLM is shown: no marker of its answer stands for one of the others."""
    return hits[: len(_quote_passages(hits))]


def _quote_passages(hits: Sequence[Hit]) -> list[str]:
    quoted: list[str] = []
    room = MAX_PASSAGES_CHARS
    for number, hit in enumerate(hits, start=1):
        chunk = hit.chunk
        where = " > ".join(part for part in (chunk.title, chunk.section) if part)
        text = "\n".join(part for part in (where, chunk.lead, chunk.text) if part)
        passage = f'<passage number="[{number}]">\n{_quote(text)}'[:room]
        quoted.append(f"{passage}\n</passage>")
        room -= len(passage)
        if room < len(chunk.title) + 200:
            break
    return quoted


def _quote(text: str) -> str:
    """Take the power from tags of ours inside a quotation, so that no document can end it."""
    return _TAG.sub("‹", text)


@lru_cache
def read_rules() -> str:
    """Read `prompts/answer.txt`."""
    text = (Path(__file__).parent / "prompts" / "answer.txt").read_text(encoding="utf-8")
    return text.replace("{not_answered}", NOT_ANSWERED).strip()
