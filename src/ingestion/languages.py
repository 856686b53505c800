"""In which languages the documents are, and whether the model knows them."""

import re
from collections.abc import Mapping, Sequence

from src.retrieval.analyzer import STOP_WORDS, split_words

MULTILINGUAL_MODEL = "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"
# Read of each document, code left out; fewer letters than this tell nothing.
SAMPLE_CHARS = 4000
MIN_LETTERS = 24
NO_LANGUAGE = "zxx"
# English text has 30 to 50 % of them, that of its next of kin up to 10 %.
ENGLISH_SHARE = 0.2
_CODE = re.compile(r"^[ \t]*(`{3,}+).*?(?:^[ \t]*\1|\Z)|`[^`\n]*`|https?://\S+", re.DOTALL | re.MULTILINE)


def detect_language(text: str) -> str:
    """Return the ISO 639-1 code of a text's language; "" where it is too short to tell.

    English is told by its small words, so that a folder in English does not wait for the model of all languages.
    """
    sample = _CODE.sub(" ", text[: 2 * SAMPLE_CHARS])[:SAMPLE_CHARS]
    if sum(map(str.isalpha, sample)) < MIN_LETTERS:
        return ""
    words = split_words(sample)
    if sum(word in STOP_WORDS for word in words) >= ENGLISH_SHARE * len(words):
        return "en"
    from py3langid import classify

    language = str(classify(sample)[0])
    return "" if language == NO_LANGUAGE else language


def is_known(language: str, known: Sequence[str]) -> bool:
    """Tell whether a model knows a language, or whether that cannot be told.

    Args:
        known: the languages of the model card; none: it does not say.
    """
    return not language or not known or language in known or "multilingual" in known


def tell_unknown(documents: Mapping[str, int], known: Sequence[str]) -> str:
    """Say which documents the model cannot find by their meaning; "" where it knows all their languages.

    Args:
        documents: how many there are, by language.
        known: the languages of the model card; none: it does not say.
    """
    unknown = {language: count for language, count in documents.items() if not is_known(language, known)}
    if not unknown:
        return ""
    which = ", ".join(f"{count:,} in {language}" for language, count in sorted(unknown.items()))
    return (
        f"Warning: the model knows {', '.join(known)}, but there are documents in other languages ({which}): they are "
        "found by their words only. A multilingual model finds them by their meaning: ./run.sh build --export-model "
        f"{MULTILINGUAL_MODEL}, then build again. It needs more memory; docs/bring-your-documents.md says how much."
    )
