"""Records as the JSON of the HTTP contract."""

from src.records import Citation
from src.web.responses import citation_json


def test_highlights_are_pairs_of_the_documents_characters() -> None:
    """They count as `start` and `end` do, and lie between them."""
    citation = Citation(1, "a b/c.md", "C", "", None, "One. Two.", 10, 19, ((10, 14), (15, 19)))
    body = citation_json(citation)
    assert body["highlights"] == [[10, 14], [15, 19]]
    assert body["url"] == "/documents/a%20b/c.md?start=10&end=19"
