"""An LLM's answer as it may be shown. What is streamed is what the whole answer holds: nothing is taken back.

Text is held back while it may still become a marker, a link, code or the words for "not answered". Markers of passages
that do not exist are removed, links and images become plain text, and a sentence that no passage supports is marked. It
is marked only, because a right answer in another language than the documents shares no words with them. Code stays as
it is, and a block of it that the LLM left open is closed.
"""

import re
from collections.abc import Sequence

from src.errors import GenerationError
from src.rag.citations import LOADING_TAG, normalise_markers, remove_markers
from src.rag.code_finder import CodeFinder
from src.rag.prompt import is_refusal, may_become_refusal
from src.records import Hit
from src.retrieval.analyzer import content_stems

MAX_ANSWER_CHARS = 12_000
# On 661 sentences that people wrote from a passage (clapnq_dev), at 0.5: 99.8 % of them are above it with their own
# passage, 88.8 % below it with the most similar other one. All of their 171 numbers are in the passage.
MIN_COVERAGE = 0.5
# A shorter sentence says too little to be judged.
MIN_STEMS = 4
MARK = " (not found in the documents)"

_BREAK = re.compile(r"((?<=[.!?\]])[ \t]+(?=[A-Z“\"(*])|\n+)")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_ABOUT_PASSAGES = re.compile(r"\b(?:passages?|documents?|sources?)\b", re.IGNORECASE)
# `[words](address)` and `[name]: address` are what Markdown makes links and images of.
_LINK = re.compile(r"(?<=\])(?=[(:])")
# What nobody sees: control characters, and those that turn the order of the letters after them.
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_FENCE = re.compile(r"^[ \t]*(`{3,}(?!.*`)|~{3,})", re.MULTILINE)
# What may become a marker, inside a bracket or not, or a tag that loads something; a run of blanks counts as one sign.
_UNFINISHED = (re.compile(r"[\[【](?:[^\]】\s]|\s++){0,400}+\Z"), re.compile(r"<[^>]{0,9}\Z"))


class WrittenAnswer:
    """Takes the pieces as they come and gives back what can be shown of them.

    Attributes:
        text: all that was shown.
        has_unsupported: whether a sentence is marked as not found in the documents.
    """

    def __init__(self, question: str, hits: Sequence[Hit]) -> None:
        known = " ".join([question, *(f"{hit.chunk.title} {hit.chunk.section} {hit.chunk.text}" for hit in hits)])
        self._stems, self._numbers = frozenset(content_stems(known)), _numbers(known)
        self._passages = len(hits)
        self._received = self._waiting = self._held = self._sentence = ""
        self._code = CodeFinder()
        self.text = ""
        self.has_unsupported = False

    @property
    def is_refusal(self) -> bool:
        """Whether the LLM says that the passages do not answer."""
        return is_refusal(self._received)

    @property
    def end_of_code(self) -> str:
        """What closes a block of code that is open at the end of what was shown; empty where none is."""
        runs = _FENCE.findall(self.text)
        return f"\n{runs[-1]}" if len(runs) % 2 else ""

    def add(self, piece: str) -> str:
        """Take a piece; return what can be shown now, often nothing.

        Raises:
            GenerationError: the answer is far too long.
        """
        piece = _UNSEEN.sub("", piece)
        self._received += piece
        if len(self._received) > MAX_ANSWER_CHARS:
            raise GenerationError(f"The LLM's answer is over {MAX_ANSWER_CHARS} characters.")
        self._waiting += piece
        if may_become_refusal(self._received):
            return ""
        ready = self._waiting.rstrip()
        if "\ud800" <= ready[-1:] <= "\udbff":  # the other half may follow
            ready = ready[:-1]
        self._waiting = self._waiting[len(ready) :]
        return self._take(ready) + self._show_text(_safe_end(self._held))

    def finish(self) -> str:
        """Return the rest that can be shown; there is none where the answer is a refusal."""
        if self.is_refusal:
            return ""
        shown = self._take(self._waiting.rstrip(), is_last=True) + self._show_text(len(self._held))
        end = self.end_of_code
        end += self._mark(self._sentence + end)
        self.text += end
        return shown + end

    def _take(self, ready: str, *, is_last: bool = False) -> str:
        """Give code back as it is, with the text before it; hold the text after it."""
        # A pair of surrogates may come in two pieces, and a lone one cannot be sent.
        characters = ready.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        shown = ""
        for is_code, part in self._code.split(characters, is_last=is_last):
            if is_code:
                shown += self._show_text(len(self._held)) + part
                self._sentence += part
                self.text += part
            else:
                self._held += part
        return shown

    def _show_text(self, end: int) -> str:
        """Show what is held up to a place."""
        ready, self._held = self._held[:end], self._held[end:]
        # With the last sign that was shown: it may end code or a sentence, or be the bracket that makes a link of this.
        before = self.text[-1:]
        code_sign = before.strip()
        piece = normalise_markers(code_sign + ready, self._passages)[len(code_sign) :]
        piece = _LINK.sub(" ", before + LOADING_TAG.sub("‹", piece))[len(before) :]
        if not before:
            piece = piece.lstrip()
        shown, at = "", len(before)
        for gap in _BREAK.finditer(before + piece, at):
            sentence = (before + piece)[at : gap.start()]
            shown += sentence + self._mark(self._sentence + sentence) + gap[0]
            self._sentence, at = "", gap.end()
        rest = (before + piece)[at:]
        self._sentence += rest
        self.text += shown + rest
        return shown + rest

    def _mark(self, sentence: str) -> str:
        """Return the mark for a sentence with mostly words, or any number, that is neither in passages nor question."""
        said = content_stems(remove_markers(sentence))
        if len(said) < MIN_STEMS or _ABOUT_PASSAGES.search(sentence):
            return ""
        is_covered = sum(stem in self._stems for stem in said) >= MIN_COVERAGE * len(said)
        if is_covered and _numbers(re.sub(r"^\s*\d+[.)]", "", remove_markers(sentence))) <= self._numbers:
            return ""
        self.has_unsupported = True
        # Only a block of code has lines, and the last of them stands alone.
        return f"\n{MARK.lstrip()}" if "\n" in sentence else MARK


def _safe_end(held: str) -> int:
    """Return up to where a text can be shown: not what may become a marker or a tag, nor blanks at the end."""
    end = len(held.rstrip())
    while found := next(filter(None, (unfinished.search(held[:end]) for unfinished in _UNFINISHED)), None):
        end = len(held[: found.start()].rstrip())
    return end


def _numbers(text: str) -> frozenset[str]:
    """Return the numbers in a text; 5,000 is 5000."""
    return frozenset(re.sub(r"[.,]", "", number) for number in _NUMBER.findall(text))
