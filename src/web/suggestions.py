"""The questions that the page offers to a person who does not know yet what to ask.

They are the lines of `suggestions.txt` beside `INDEX_DIR`. Without that file they come from the headings of the
documents: questions as they stand, short ones after their document's title.
"""

import logging
import re
from pathlib import Path
from weakref import WeakKeyDictionary

from src.records import Chunk
from src.retrieval.text_store import TextStore

logger = logging.getLogger(__name__)

MOST_SUGGESTIONS = 6
FROM_HEADINGS = 4
# So many passages of a document are looked at for a heading that is a question.
_LOOKED_AT = 8
_MOST_WORDS = 7
_NUMBERING = re.compile(r"^(?:\d+[.)]?)+\s+|^[A-Z][.)]\s+")
# An index does not change while it is open, and 25 queries find its questions.
_FOUND: WeakKeyDictionary[TextStore, list[str]] = WeakKeyDictionary()
_FILE_NAME = re.compile(r"[_/\\]|\.\w{2,4}$|^\S*\d\S*$")


def suggest_questions(store: TextStore, index_dir: Path) -> list[str]:
    """Return the questions of the file, or else one about each of some documents, spread over the index."""
    try:
        lines = (index_dir.parent / "suggestions.txt").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        if not isinstance(exc, FileNotFoundError):
            logger.warning("suggestions.txt cannot be read (%s). Save it as UTF-8.", exc)
        if store not in _FOUND:
            _FOUND[store] = _from_headings(store)
        return _FOUND[store]
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")][:MOST_SUGGESTIONS]


def _from_headings(store: TextStore) -> list[str]:
    _, total = store.list_documents(1, 0)
    questions: list[str] = []
    # Twice as many documents as questions, because some have no heading to ask about.
    for place in range(looked_at := min(2 * FROM_HEADINGS, total)):
        (entry, *_), _ = store.list_documents(1, place * total // looked_at)
        numbers = range(min(entry.chunks, _LOOKED_AT))
        found = [_question(chunk) for chunk in store.get_chunks([f"{entry.path}#{number}" for number in numbers])]
        fit = sorted(filter(None, found), key=lambda question: not question.endswith("?"))
        questions += [question for question in fit[:1] if question not in questions]
    return questions[:FROM_HEADINGS]


def _question(chunk: Chunk) -> str | None:
    heading = _NUMBERING.sub("", chunk.section.split(" > ")[-1]).strip(" :*`")
    if not heading or len(heading.split()) > 2 * _MOST_WORDS:
        return None
    if heading.endswith("?"):
        return heading
    if _FILE_NAME.search(chunk.title) or max(len(heading.split()), len(chunk.title.split())) > _MOST_WORDS:
        return None
    return f"{chunk.title}: {heading}"
