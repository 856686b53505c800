"""Writes what the documentation says of the settings: `.env.example`, and the table in docs/configuration.md.

    python -m src.config_docs

A test compares both with `src/config.py`.
"""

import re
import textwrap
from pathlib import Path

from src.config import SETTINGS

_HEAD = (
    "Every variable with its default. Copy this file to .env and uncomment what you change. ./run.sh and Docker read "
    ".env; Render and gunicorn do not. A variable that is set in the environment wins. Write NAME=value: no quotes, no "
    "export, no comment behind the value. `.venv/bin/python -m src.config_docs` writes this file."
)


def write_example() -> str:
    """Return the text of `.env.example`."""
    parts = [_comment(_HEAD)]
    for name, setting in SETTINGS.items():
        parts.append(_comment(f"{setting.about} Must be {setting.kind.allowed}.") + f"\n#{name}={setting.default}")
    return "\n\n".join(parts) + "\n"


def write_table() -> str:
    """Return the table of docs/configuration.md."""
    lines = ["| Variable | Default | Allowed | What it does |", "|---|---|---|---|"]
    for name, setting in SETTINGS.items():
        default = f"`{setting.default}`" if setting.default else ""
        lines.append(f"| `{name}` | {default} | {setting.kind.allowed} | {setting.about} |")
    return "\n".join(lines) + "\n"


def write_documentation(root: Path) -> None:
    """Write `.env.example`, and the table into docs/configuration.md."""
    (root / ".env.example").write_text(write_example(), encoding="utf-8")
    page = root / "docs" / "configuration.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(re.sub(r"(^\|.*\n)+", lambda _: write_table(), text, count=1, flags=re.MULTILINE), encoding="utf-8")


def _comment(text: str) -> str:
    return textwrap.fill(text, 118, initial_indent="# ", subsequent_indent="# ")


if __name__ == "__main__":
    write_documentation(Path(__file__).parent.parent)
