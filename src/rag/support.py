"""Whether the passages support what an LLM wrote, by words: a sentence that they do not is marked, not dropped.

Marked only, because a right answer in another language than the documents shares no words with them.
"""

import re
from collections.abc import Sequence

from src.rag.citations import remove_markers
from src.records import Hit
from src.retrieval.analyzer import content_stems

# On 661 sentences that people wrote from a passage (clapnq_dev), at 0.5: 99.8 % of them are above it with their own
# passage, 88.8 % below it with the most similar other one. All of their 171 numbers are in the passage.
MIN_COVERAGE = 0.5
# A shorter sentence says too little to be judged.
MIN_STEMS = 4
MARK = " (not found in the documents)"

_BREAK = re.compile(r"((?<=[.!?\]])[ \t]+(?=[A-Z“\"(*])|\n+)")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_ABOUT_PASSAGES = re.compile(r"\b(?:passages?|documents?|sources?)\b", re.IGNORECASE)


def mark_unsupported(text: str, question: str, hits: Sequence[Hit]) -> str:
    """Mark each sentence that holds mostly words, or any number, that neither the passages nor the question hold."""
    known = " ".join([question, *(f"{hit.chunk.title} {hit.chunk.section} {hit.chunk.text}" for hit in hits)])
    stems, numbers = frozenset(content_stems(known)), _numbers(known)
    pieces = _BREAK.split(text)
    for at in range(0, len(pieces), 2):
        sentence = remove_markers(pieces[at])
        if not _ABOUT_PASSAGES.search(sentence) and not _is_supported(sentence, stems, numbers):
            pieces[at] += MARK
    return "".join(pieces)


def _is_supported(sentence: str, stems: frozenset[str], numbers: frozenset[str]) -> bool:
    said = content_stems(sentence)
    if len(said) < MIN_STEMS:
        return True
    is_covered = sum(stem in stems for stem in said) >= MIN_COVERAGE * len(said)
    return is_covered and _numbers(re.sub(r"^\s*\d+[.)]", "", sentence)) <= numbers


def _numbers(text: str) -> frozenset[str]:
    """Return the numbers in a text; 5,000 is 5000."""
    return frozenset(re.sub(r"[.,]", "", number) for number in _NUMBER.findall(text))
