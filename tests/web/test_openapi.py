"""The description of the API and the API say the same."""

import re
import subprocess
import sys
from pathlib import Path

import yaml

from src.app_factory import create_app
from src.config import Config
from tests.conftest import ROOT, Server

PAGES = {"/", "/assets/{version}/{name}", "/suggestions", "/memory", "/docs", "/docs/{version}/{name}"}


def described() -> set[tuple[str, str]]:
    paths = yaml.safe_load((ROOT / "src" / "web" / "openapi.yaml").read_text())["paths"]
    return {(method.upper(), path) for path, operations in paths.items() for method in operations}


def test_every_route_is_described_and_every_description_is_a_route() -> None:
    """Both ways: nothing undocumented, nothing invented."""
    rules = create_app(Config.from_env({})).url_map.iter_rules()
    served = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in rules
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert {route for route in served if route[1] not in PAGES} - {("GET", "/openapi.json")} == described()


def test_served_description_is_the_file(server: Server) -> None:
    """`/openapi.json` is `openapi.yaml` in JSON."""
    assert server.get("/openapi.json").json() == yaml.safe_load((ROOT / "src" / "web" / "openapi.yaml").read_text())


def test_server_keeps_to_its_description(server: Server, tmp_path: Path) -> None:
    """Driven from the description, with good and bad input, no 5xx and no response outside its schema."""
    arguments = [
        *("run", f"{server.url}/openapi.json", "--url", server.url, "--max-examples", "15", "--seed", "512"),
        *("--phases", "examples,coverage,fuzzing", "--generation-deterministic", "--request-timeout", "30"),
        *("--exclude-checks", "unsupported_method", "--no-color"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
