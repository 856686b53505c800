"""An LLM's answer as it may be shown. What is streamed is what the whole answer holds: nothing is taken back.

Text is held back while it may still become a marker, a link or the words for "not answered". Markers of passages that
do not exist are removed, links and images become plain text, and a sentence that no passage supports is marked. It is
marked only, because a right answer in another language than the documents shares no words with them.
"""

import re
from collections.abc import Sequence

from src.errors import GenerationError
from src.rag.citations import normalise_markers, remove_markers
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
_LOADING_TAG = re.compile(
    r"<(?=/?(?:img|iframe|script|style|link|object|embed|video|audio|source|svg|form|base|meta)\b)", re.IGNORECASE
)
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
        self._received = self._held = self._sentence = ""
        self.text = ""
        self.has_unsupported = False

    @property
    def is_refusal(self) -> bool:
        """Whether the LLM says that the passages do not answer."""
        return is_refusal(self._received)

    def add(self, piece: str) -> str:
        """Take a piece; return what can be shown now, often nothing.

        Raises:
            GenerationError: the answer is far too long.
        """
        self._received += piece
        if len(self._received) > MAX_ANSWER_CHARS:
            raise GenerationError(f"The LLM's answer is over {MAX_ANSWER_CHARS} characters.")
        self._held += piece
        if may_become_refusal(self._received):
            return ""
        cut = _safe_end(self._held)
        ready, self._held = self._held[:cut], self._held[cut:]
        return self._show(ready)

    def finish(self) -> str:
        """Return the rest that can be shown; there is none where the answer is a refusal."""
        rest, self._held = self._held.rstrip(), ""
        if self.is_refusal:
            return ""
        shown = self._show(rest)
        mark = self._mark(self._sentence)
        self.text += mark
        return shown + mark

    def _show(self, ready: str) -> str:
        # A pair of surrogates may come in two pieces, and a lone one cannot be sent.
        whole_characters = ready.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        piece = _LOADING_TAG.sub("‹", normalise_markers(whole_characters, self._passages))
        # With the last sign that was shown: it may be the bracket that makes a link of this.
        piece = _LINK.sub(" ", self.text[-1:] + piece)[len(self.text[-1:]) :]
        *complete, last = _BREAK.split(self._sentence + (piece if self.text else piece.lstrip()))
        whole = ""
        for sentence, gap in zip(complete[::2], complete[1::2], strict=True):
            whole += sentence + self._mark(sentence) + gap
        shown = (whole + last)[len(self._sentence) :]
        self._sentence = last
        self.text += shown
        return shown

    def _mark(self, sentence: str) -> str:
        """Return the mark for a sentence with mostly words, or any number, that is neither in passages nor question."""
        said = content_stems(remove_markers(sentence))
        if len(said) < MIN_STEMS or _ABOUT_PASSAGES.search(sentence):
            return ""
        is_covered = sum(stem in self._stems for stem in said) >= MIN_COVERAGE * len(said)
        if is_covered and _numbers(re.sub(r"^\s*\d+[.)]", "", remove_markers(sentence))) <= self._numbers:
            return ""
        self.has_unsupported = True
        return MARK


def _safe_end(held: str) -> int:
    """Return up to where a text can be shown: not what may become a marker or a tag, nor blanks at the end."""
    if "\ud800" <= held[-1:] <= "\udbff":
        held = held[:-1]
    for unfinished in _UNFINISHED:
        held = held.rstrip()
        if match := unfinished.search(held):
            held = held[: match.start()]
    return len(held.rstrip())


def _numbers(text: str) -> frozenset[str]:
    """Return the numbers in a text; 5,000 is 5000."""
    return frozenset(re.sub(r"[.,]", "", number) for number in _NUMBER.findall(text))
