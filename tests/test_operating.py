"""docs/operating.md explains what the source can say."""

import ast
import re

import yaml

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "operating.md").read_text()


def codes_in_the_source() -> set[str]:
    """Find every error code: an argument or a field named `code`, the second argument of `error_response`, `_CODES`."""
    found: list[ast.expr] = []
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.keyword(arg="code", value=value):
                    found += [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
                case ast.Call(func=ast.Name(id="error_response"), args=[_, value, *_]):
                    found += [value, *(value.args if isinstance(value, ast.Call) else ())]
                case ast.Assign(targets=[ast.Name(id="_CODES")], value=ast.Dict(values=values)):
                    found += values
                case ast.Assign(targets=[ast.Name(id="code")], value=ast.IfExp(body=body, orelse=other)):
                    found += [body, other]
                case ast.Dict(keys=keys, values=values):
                    named = zip(keys, values, strict=True)
                    found += [value for key, value in named if isinstance(key, ast.Constant) and key.value == "code"]
    return {node.value for node in found if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_every_error_code_has_its_row() -> None:
    """A person who reads a code in a response finds its cause and its cure."""
    codes = codes_in_the_source()
    assert {
        "invalid_request",
        "warming_up",
        "index_unusable",
        "services_unusable",
        "error",
        "answer_broke_off",
    } <= codes
    rows = set(re.findall(r"^\| `([a-z_]+)` \| ", PAGE, re.MULTILINE))
    assert codes - rows == set()


def test_log_lines_of_the_page_are_in_the_source() -> None:
    """Each line that the page explains is one that the server writes."""
    source = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    for words in re.findall(r"Memory \[([a-z ,-]+)", PAGE):
        assert words.strip() in source, words
    rows = re.findall(r"^\| `([A-Z][A-Za-z -]+)[:(]", PAGE, re.MULTILINE)
    assert {"LLM call failed", "Load failed", "Hand-over failed", "No worker can be forked "} <= set(rows)
    for words in rows:
        assert words.strip() in source, words


def test_blueprint_asks_whether_it_is_public() -> None:
    """Render asks for the key at the first deploy, and both pages say why before it."""
    service, *_ = yaml.safe_load((ROOT / "render.yaml").read_text())["services"]
    assert {"key": "API_KEY", "sync": False} in service["envVars"]
    for page in ("README.md", "docs/deploying.md"):
        text = " ".join((ROOT / page).read_text().split())
        assert "Without `API_KEY` everybody who has the address can read every document" in text, page
