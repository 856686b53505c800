"""Questions to start with, made from the headings of passages spread over the index."""

from src.records import Chunk
from src.retrieval.text_store import TextStore

SUGGESTIONS = 4


def suggest_questions(store: TextStore, count: int = SUGGESTIONS) -> list[str]:
    """Ask about the section in the middle of each of some documents; no document is read as a whole."""
    _, total = store.list_documents(1, 0)
    questions = []
    for place in range(min(count, total)):
        (entry, *_), _ = store.list_documents(1, place * total // min(count, total))
        questions += [_question(chunk) for chunk in store.get_chunks([f"{entry.path}#{entry.chunks // 2}"])]
    return questions


def _question(chunk: Chunk) -> str:
    heading = chunk.section.split(" > ")[-1]
    if heading.endswith("?"):
        return heading
    return f"What does “{chunk.title}” say about “{heading}”?" if heading else f"What is “{chunk.title}” about?"
