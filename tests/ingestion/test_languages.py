"""The build knows the documents' languages, and says when the model does not."""

import sys

import pytest

from src.config import Config
from src.ingestion.index_builder import build_index
from src.ingestion.index_check import verify_index
from src.ingestion.languages import detect_language, tell_unknown

TEXTS = {
    "en": "Everyone has twenty-five days of paid leave in each year, and may carry five of them over.",
    "de": "Alle Mitarbeiter haben fünfundzwanzig Tage bezahlten Urlaub im Jahr und können fünf davon mitnehmen.",
    "fr": "Tous les employés ont vingt-cinq jours de congés payés par an et peuvent en reporter cinq.",
    "es": "Todos los empleados tienen veinticinco días de vacaciones pagadas al año y pueden guardar cinco.",
    "ja": "すべての従業員には年に二十五日の有給休暇があり、そのうち五日は翌年に繰り越すことができます。",
    "zh": "每位员工每年享有二十五天带薪年假，其中五天可以结转到下一年度使用，但是需要经理事先批准才可以。",
    "ar": "لكل موظف خمسة وعشرون يوما من الإجازة المدفوعة في السنة ويمكن ترحيل خمسة منها إلى السنة التالية.",
}


@pytest.mark.parametrize("language", TEXTS)
def test_language_of_a_text_is_told(language: str) -> None:
    """Code in it does not count."""
    assert detect_language(f"```\nfor each in the list of all: return it\n```\n\n{TEXTS[language]}") == language


def test_english_does_not_load_the_model_of_languages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most folders need it not, and it takes a second."""
    monkeypatch.setitem(sys.modules, "py3langid", None)
    assert detect_language(TEXTS["en"]) == "en"
    assert detect_language("Too short.") == ""


def test_model_of_many_languages_or_of_unknown_ones_is_not_warned_of() -> None:
    """A card that says nothing accuses nobody."""
    assert tell_unknown({"de": 2, "": 1}, ["en", "multilingual"]) == tell_unknown({"de": 2}, []) == ""
    assert tell_unknown({"en": 2, "": 1}, ["en"]) == ""


def test_build_and_verify_name_the_languages_and_the_cure(config: Config) -> None:
    """Documents in a language that the model does not know are found by words only, and the person learns it."""
    for language in ("en", "de", "ja"):
        (config.documents_dir / f"{language}.md").write_text(TEXTS[language], encoding="utf-8")
    for said in (build_index(config).summary(), verify_index(config.index_dir, config.model_dir)):
        assert "1 in de, 1 in ja" in said
        assert "--export-model sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2" in said
