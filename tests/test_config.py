"""The environment is validated before anything starts, and documented where people look."""

import re
from pathlib import Path

import pytest

from src.config import SETTINGS, Config
from src.config_docs import write_documentation
from src.errors import ConfigError
from tests.conftest import ROOT


def test_empty_environment_gives_the_documented_defaults() -> None:
    """The defaults are those of the contract."""
    config = Config.from_env({})
    assert (config.port, config.memory_limit_mb, config.top_k) == (8000, 512, 12)
    assert (config.max_requests, config.max_requests_jitter) == (50, 10)
    assert config.embedding_model_name == "sentence-transformers/all-MiniLM-L6-v2"
    assert (config.index_dir, config.model_dir) == (Path("data/index"), Path("data/model"))
    assert (config.rate_limit, config.app_name) == ("60 per minute", "rag512")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"),
        ("PORT", "eighty"),
        ("MEMORY_LIMIT_MB", "-1"),
        ("TOP_K", "21"),
        ("EMBEDDING_BACKEND", "torch"),
        ("RATE_LIMIT", "60 per fortnight"),
        ("LLM_BASE_URL", "ftp://example.org"),
        ("LOG_LEVEL", "LOUD"),
        ("APP_NAME", "two\nlines"),
        ("MEMORY_ALERTS_PERCENT", "88,78,95"),
        ("CORS_ORIGINS", "docs.example.org"),
        ("CORS_ORIGINS", "https://docs.example.org/page"),
    ],
)
def test_bad_value_is_refused_by_name_and_value(name: str, value: str) -> None:
    """A bad value stops the start, and the message says which."""
    with pytest.raises(ConfigError, match=f"{name}={re.escape(repr(value))} cannot be used: it must be "):
        Config.from_env({name: value})


def test_bad_secret_is_refused_without_being_shown() -> None:
    """A key that was pasted with a line break must not land in the log."""
    with pytest.raises(ConfigError, match="API_KEY"):
        Config.from_env({"API_KEY": " , "})
    with pytest.raises(ConfigError, match="LLM_API_KEY") as caught:
        Config.from_env({"LLM_API_KEY": "sk-very secret"})
    assert "very" not in str(caught.value)


def test_password_in_an_address_is_refused_without_being_shown() -> None:
    """It would stand in messages and in the log, and nothing here would send it."""
    for name in ("CHROMA_URL", "LLM_BASE_URL"):
        with pytest.raises(ConfigError, match=name) as caught:
            Config.from_env({name: "https://user:hunter2@example.org"})
        assert "hunter2" not in str(caught.value)


def test_origins_are_written_as_browsers_send_them() -> None:
    """A slash at the end or a capital would match no browser, and say nothing."""
    config = Config.from_env({"CORS_ORIGINS": "HTTPS://Docs.Example.org/, http://localhost:3000"})
    assert config.cors_origins == ("https://docs.example.org", "http://localhost:3000")
    assert Config.from_env({"CORS_ORIGINS": "*"}).cors_origins == ("*",)


def test_secrets_are_not_in_the_repr() -> None:
    """A config in a log or a trace shows no key."""
    config = Config.from_env({"LLM_API_KEY": "sk-one", "API_KEY": "sk-two, sk-four", "ADMIN_TOKEN": "sk-three"})
    assert "sk-" not in repr(config)
    assert config.api_key == ("sk-two", "sk-four")


def test_threads_must_exceed_chats() -> None:
    """With every thread in a chat, /health would not be answered."""
    with pytest.raises(ConfigError, match="GUNICORN_THREADS=8 must be greater than MAX_CONCURRENT_CHATS=8"):
        Config.from_env({"GUNICORN_THREADS": "8", "MAX_CONCURRENT_CHATS": "8"})


def test_documentation_is_what_the_code_says(tmp_path: Path) -> None:
    """`python -m src.config_docs` has been run since the last change of a setting."""
    (tmp_path / "docs").mkdir()
    page = (ROOT / "docs" / "configuration.md").read_text()
    (tmp_path / "docs" / "configuration.md").write_text(page)
    write_documentation(tmp_path)
    assert (tmp_path / ".env.example").read_text() == (ROOT / ".env.example").read_text()
    assert (tmp_path / "docs" / "configuration.md").read_text() == page
    assert re.findall(r"^\| `([A-Z0-9_]+)` \|", page, re.MULTILINE) == list(SETTINGS)


def test_example_sets_the_defaults(tmp_path: Path) -> None:
    """A person who uncomments every line of .env.example changes nothing."""
    lines = re.findall(r"^#([A-Z0-9_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert len(lines) == len(SETTINGS)
    assert Config.from_env(dict(lines)) == Config.from_env({})


def test_environment_is_read_in_one_file() -> None:
    """Only config.py touches the environment."""
    found = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "src").rglob("*.py")
        if re.search(r"os\.(environ|getenv)", path.read_text())
    ]
    assert found == ["src/config.py"]
