"""Answers without an LLM: the one to three sentences of the retrieved passages that answer, each cited.

Sentences are weighed by meaning (the cosines come with the passages), by words, by their passage's rank and by what the
question asks for. docs/decisions/0003 says how the weights were found.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from src.rag.answer_cues import find_cues
from src.rag.citations import CitedText, cite
from src.rag.quoting import MAX_WORDS, Quote, can_stand_alone, find_items, find_lead_in, is_item, read_sentence
from src.records import Chunk, Citation, Hit
from src.retrieval.analyzer import content_stems, question_stems

MAX_SENTENCES = 3
MEANING_WEIGHT = 1.0
WORDS_WEIGHT = 0.8
RANK_WEIGHT = 0.25
CUE_WEIGHT = 0.12
NEIGHBOUR_WEIGHT = 0.2
LEAN = 0.8
HEADING = 0.5
# A further sentence must come this near to the best one.
MARGIN = 0.42
DUPLICATE = 0.8


@dataclass(frozen=True, slots=True)
class _Candidate:
    marker: int
    chunk: Chunk
    sentence: int
    stems: frozenset[str]
    score: float


def answer_extractively(question: str, hits: Sequence[Hit]) -> CitedText:
    """Quote what answers the question, best passage first; empty where the passages hold no sentence."""
    candidates = _weigh(question, hits)
    quotes = _join(_choose(candidates))
    text = " ".join(f"{_read(quote)} [{quote.marker}]" for quote in quotes)
    return CitedText(text, tuple(_cite(quotes)))


def _weigh(question: str, hits: Sequence[Hit]) -> list[_Candidate]:
    """Score every sentence of the passages, best first."""
    stems = [_stems_of_sentences(hit.chunk) for hit in hits]
    weights = _idf(question_stems(question), [held for passage in stems for held in passage])
    cues = find_cues(question)
    candidates: list[_Candidate] = []
    for rank, (hit, held) in enumerate(zip(hits, stems, strict=True)):
        fits = _fit(hit, held, weights)
        for sentence, (start, end) in enumerate(hit.chunk.sentences):
            has_cue = any(cue.search(hit.chunk.text, start, end) for cue in cues)
            score = fits[sentence] + RANK_WEIGHT / (1 + rank) + CUE_WEIGHT * has_cue
            candidates.append(_Candidate(rank + 1, hit.chunk, sentence, held[sentence], score))
    return sorted(candidates, key=lambda candidate: -candidate.score)


def _fit(hit: Hit, stems: Sequence[frozenset[str]], weights: Mapping[str, float]) -> list[float]:
    """Score how well each sentence of a passage fits by its meaning, its words and its neighbours."""
    chunk = hit.chunk
    alone = [WORDS_WEIGHT * share for share in _word_shares(chunk, stems, weights)]
    if hit.cosines:
        alone = [fit + MEANING_WEIGHT * cosine for fit, cosine in zip(alone, hit.cosines, strict=True)]
    # What answers is often said beside the sentence that repeats the question's words.
    padded = [0.0, *alone, 0.0]
    fits = [fit + NEIGHBOUR_WEIGHT * max(padded[i], padded[i + 2]) for i, fit in enumerate(alone)]
    # "They lapse after a year" fits as well as the sentence before it, which says what "they" are.
    return [fit if i == 0 or can_stand_alone(chunk, i) else max(fit, LEAN * fits[i - 1]) for i, fit in enumerate(fits)]


def _stems_of_sentences(chunk: Chunk) -> list[frozenset[str]]:
    return [frozenset(content_stems(chunk.text[start:end])) for start, end in chunk.sentences]


def _word_shares(chunk: Chunk, stems: Sequence[frozenset[str]], weights: Mapping[str, float]) -> list[float]:
    """Return how much of the question each sentence holds, 0 to 1; the heading above it counts in part."""
    total = sum(weights.values()) or 1.0
    heading = frozenset(content_stems(f"{chunk.title} {chunk.section}"))

    def weigh(held: frozenset[str], stem: str, weight: float) -> float:
        return weight if stem in held else HEADING * weight if stem in heading else 0.0

    return [sum(weigh(held, *item) for item in weights.items()) / total for held in stems]


def _idf(wanted: Iterable[str], sentences: Sequence[frozenset[str]]) -> dict[str, float]:
    """Weigh each word of the question by how rare it is among the candidates (BM25's idf, never negative)."""
    counts = Counter(stem for held in sentences for stem in held)
    n = len(sentences)
    return {stem: math.log(1 + (n - counts[stem] + 0.5) / (counts[stem] + 0.5)) for stem in wanted if counts[stem]}


def _choose(candidates: Sequence[_Candidate]) -> list[Quote]:
    """Take the best sentences that fit, each with the neighbours it needs."""
    chosen: list[Quote] = []
    taken: set[tuple[int, int]] = set()
    stems: list[frozenset[str]] = []
    words = sentences = 0
    for candidate in candidates:
        if sentences >= MAX_SENTENCES or candidate.score < candidates[0].score - MARGIN:
            break
        if (candidate.marker, candidate.sentence) in taken or _repeats(candidate.stems, stems):
            continue
        for quote in _with_neighbours(candidate):
            new = [s for s in range(quote.first, quote.last + 1) if (quote.marker, s) not in taken]
            length = sum(len(read_sentence(quote.chunk, sentence).split()) for sentence in new)
            if words + length <= MAX_WORDS or not (chosen or quote.first != quote.last):
                chosen.append(quote)
                taken |= {(quote.marker, sentence) for sentence in new}
                stems.append(candidate.stems)
                words, sentences = words + length, sentences + 1
                break
    return chosen


def _with_neighbours(candidate: _Candidate) -> list[Quote]:
    """Return what may be quoted for a sentence: with all that belongs to it, with what it needs, bare."""
    chunk, sentence = candidate.chunk, candidate.sentence
    bare = Quote(candidate.marker, chunk, sentence, sentence)
    first = last = sentence
    if is_item(chunk, sentence):
        lead_in = find_lead_in(chunk, sentence)
        first = sentence if lead_in is None else lead_in
    elif items := find_items(chunk, sentence):
        last = items[-1]
    elif sentence > 0 and not can_stand_alone(chunk, sentence):
        first = sentence - 1
    whole = Quote(candidate.marker, chunk, first, last)
    if last + 1 < len(chunk.sentences) and not can_stand_alone(chunk, last + 1):
        return [Quote(candidate.marker, chunk, first, last + 1), whole, bare]
    return [whole, bare]


def _repeats(stems: frozenset[str], others: Sequence[frozenset[str]]) -> bool:
    return any(len(stems & other) >= DUPLICATE * len(stems | other) for other in others)


def _join(quotes: Sequence[Quote]) -> list[Quote]:
    """Join quotes that touch, in the order of their passages' best sentence and of the text within a passage."""
    markers = list(dict.fromkeys(quote.marker for quote in quotes))
    joined: list[Quote] = []
    for quote in sorted(quotes, key=lambda quote: (markers.index(quote.marker), quote.first)):
        before = joined[-1] if joined else None
        if before and before.marker == quote.marker and quote.first <= before.last + 1:
            joined[-1] = Quote(quote.marker, quote.chunk, before.first, max(before.last, quote.last))
        else:
            joined.append(quote)
    return joined


def _read(quote: Quote) -> str:
    text = ""
    for sentence in range(quote.first, quote.last + 1):
        piece = read_sentence(quote.chunk, sentence)
        if is_item(quote.chunk, sentence) and quote.first != quote.last:
            text += f"\n- {piece}"
        else:
            text += f" {piece}"
    return text.strip()


def _cite(quotes: Sequence[Quote]) -> Iterable[Citation]:
    """Make one citation for each passage, from its first quoted sentence to its last."""
    for marker in dict.fromkeys(quote.marker for quote in quotes):
        of_passage = [quote for quote in quotes if quote.marker == marker]
        start, end = min(quote.start for quote in of_passage), max(quote.end for quote in of_passage)
        yield cite(marker, of_passage[0].chunk, start, end)
