"""What the form of a question says about the sentence that answers it: "when" wants a date, "how many" a number."""

import re

_NUMBER = (
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|hundred|thousand|million|"
    r"half|once|twice)\b"
)
_DATE = (
    r"\b\d{3,4}\b|\b(?:January|February|March|April|May|June|July|August|September|October|November|December|Monday|"
    r"Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)\b|\b(?:century|daily|weekly|monthly|days?|weeks?|months?|years?)\b"
)
_NAME = r"(?<=[a-z,] )[A-Z][a-z]+|\b(?:team|manager|officer|head|lead)\b"
_PLACE = r"\b(?:in|at|from|to|near|on) (?:the )?[A-Z]"
_REASON = r"\b(?:[Bb]ecause|[Ss]ince|due to|so that|[Ii]n order to|[Aa]s a result|[Tt]herefore)\b"

_CUES = tuple(
    (re.compile(asked, re.IGNORECASE), re.compile(held))
    for asked, held in (
        (r"\bhow (?:many|much|long|often|old|far|large|big|high)\b|\b(?:what|which) (?:percent|number)", _NUMBER),
        (r"\bwhen\b|\b(?:what|which) (?:year|date|day|month|century)\b|\bdeadline\b", _DATE),
        (r"\bwho(?:m|se)?\b", _NAME),
        (r"\bwhere\b", _PLACE),
        (r"\bwhy\b", _REASON),
    )
)


def find_cues(question: str) -> list[re.Pattern[str]]:
    """Return patterns of which a sentence that answers the question holds one; none for most questions."""
    return [held for asked, held in _CUES if asked.search(question)]
