"""What an LLM is asked: the texts in `prompts/`, the passages as numbered quotations, the conversation.

Everything is bounded in characters, of which English has about four to a token.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from src.records import Hit, Turn

# 12,000 characters are about 3,000 tokens: free models take 8,000, the answer and the conversation included.
MAX_PASSAGES_CHARS = 12_000
NOT_ANSWERED = "NOT ANSWERED"

_TAG = re.compile(r"<(?=\s*/?\s*(?:passages?|question|conversation)\b)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat completion."""

    role: Literal["system", "user", "assistant"]
    content: str


def build_answer_messages(question: str, hits: Sequence[Hit], history: Sequence[Turn]) -> list[Message]:
    """Ask for an answer with citations.

    Args:
        hits: numbered from 1 in this order; those that do not fit are left out from the end.
        history: bounded already, oldest first.
    """
    content = f"<passages>\n{_quote_passages(hits)}\n</passages>\n\n<question>\n{_quote(question)}\n</question>"
    earlier = [Message(turn.role, turn.content) for turn in history]
    return [Message("system", read_prompt("answer")), *earlier, Message("user", content)]


def build_rewrite_messages(question: str, history: Sequence[Turn]) -> list[Message]:
    """Ask for the question as it would be put without the conversation before it."""
    turns = "\n".join(f"{turn.role}: {_quote(turn.content)}" for turn in history)
    content = f"<conversation>\n{turns}\n</conversation>\n\n<question>\n{_quote(question)}\n</question>"
    return [Message("system", read_prompt("rewrite")), Message("user", content)]


def _quote_passages(hits: Sequence[Hit]) -> str:
    quoted: list[str] = []
    room = MAX_PASSAGES_CHARS
    for number, hit in enumerate(hits, start=1):
        chunk = hit.chunk
        where = " > ".join(part for part in (chunk.title, chunk.section) if part)
        passage = f'<passage number="[{number}]">\n{_quote(where)}\n{_quote(chunk.text)}'[:room]
        quoted.append(f"{passage}\n</passage>")
        room -= len(passage)
        if room < len(chunk.title) + 200:
            break
    return "\n".join(quoted)


def _quote(text: str) -> str:
    """Take the power from tags of ours inside a quotation, so that no document can end it."""
    return _TAG.sub("‹", text)


@lru_cache
def read_prompt(name: str) -> str:
    """Read `prompts/<name>.txt`."""
    return (Path(__file__).parent / "prompts" / f"{name}.txt").read_text(encoding="utf-8").strip()
