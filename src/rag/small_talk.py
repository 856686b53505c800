"""Greetings and thanks, which need no documents."""

import re

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

_REPLIES = (
    (_GREETING, "Hello! Ask me anything that the documents may answer."),
    (_THANKS, "You are welcome."),
    (_FAREWELL, "Goodbye!"),
)


def reply_to_small_talk(message: str) -> str | None:
    """Return a friendly line for a mere greeting, thanks or farewell; None for anything else."""
    text = " ".join(message.split()).strip(" .!?,")
    return next((reply for pattern, reply in _REPLIES if pattern.fullmatch(text)), None)
