"""A question in other dress: what a person may type otherwise without meaning anything else.

Each form must find the same first passage. The slips are those of P. Norvig's spelling corrector: a letter that is
missing, doubled, wrong, or changed with the next one.
"""

import random
import re
from collections.abc import Callable, Iterable

_LONG_WORD = re.compile(r"[A-Za-z]{5,}")


def dress(question: str, rng: random.Random) -> dict[str, str]:
    """Give the other forms of a question, by name."""
    bare = question.strip().rstrip("?!. ")
    forms = {
        "without mark": bare,
        "with mark": f"{bare}?",
        "capitals": question.upper(),
        "please": f"please {question}",
        "thanks": f"{question} thanks",
    }
    words = list(_LONG_WORD.finditer(question))
    if words:
        word = rng.choice(words)
        forms["slip"] = question[: word.start()] + _slip(word[0], rng) + question[word.end() :]
    return forms


def measure_steadiness(
    questions: Iterable[str], find_first: Callable[[str], object], seed: int = 0
) -> dict[str, float]:
    """Return the share of forms, by name and over all, that find the first passage of the question as it stands."""
    rng = random.Random(seed)
    same: dict[str, list[bool]] = {}
    for question in questions:
        first = find_first(question)
        for name, form in dress(question, rng).items():
            same.setdefault(name, []).append(find_first(form) == first)
    shares = {name: sum(values) / len(values) for name, values in same.items()}
    total = [value for values in same.values() for value in values]
    return {**shares, "all": sum(total) / len(total)}


def _slip(word: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(word) - 2)
    before, letter, after = word[:at], word[at], word[at + 1 :]
    wrong = rng.choice("abcdefghijklmnopqrstuvwxyz".replace(letter.lower(), ""))
    return rng.choice([before + after, before + 2 * letter + after, before + wrong + after,
                       before + after[0] + letter + after[1:]])  # fmt: skip
