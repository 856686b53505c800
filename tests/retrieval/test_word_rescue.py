"""Known words near one that no passage holds."""

import random
from difflib import get_close_matches
from pathlib import Path

from src.records import Document
from src.retrieval.text_store import TextStore, create_text_store
from src.retrieval.word_rescue import MAX_SIMILAR, SIMILARITY, find_similar_words
from tests.fakes import cut_chunk, sentence_embeddings


def test_similar_words_are_what_difflib_finds_among_all(tmp_path: Path) -> None:
    """What keeps the comparison cheap leaves no near word out."""
    rng = random.Random(5)
    # Few letters, so that many words are alike.
    words = sorted({"b" + "".join(rng.choices("aeinrst", k=rng.randint(5, 9))) for _ in range(600)})
    document = Document("words.md", "", " ".join(words), "x")
    chunk = cut_chunk(document)
    create_text_store(tmp_path / "s", [document], [(chunk, sentence_embeddings(chunk))])
    store = TextStore.open(tmp_path / "s")
    found = 0
    for word in words[::10]:
        mistyped = word[:3] + "q" + word[4:]
        of_like_length = [known for known in words if abs(len(known) - len(mistyped)) <= 2]
        similar = find_similar_words(store.database, mistyped)
        assert similar == get_close_matches(mistyped, of_like_length, n=MAX_SIMILAR, cutoff=SIMILARITY)
        found += word in similar
    assert found > 30
    store.close()
