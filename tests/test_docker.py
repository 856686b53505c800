"""The Dockerfile and compose.yaml: linted, and held to what they copy, install and start. Nothing here needs Docker."""

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT, free_port, wait_until

DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
BIN = Path(sys.executable).parent


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} +(.*)$", DOCKERFILE, re.MULTILINE)


def copied() -> list[tuple[list[str], str]]:
    """What is copied out of the repository, and where to."""
    lines = [line.split() for line in instructions("COPY") if not line.startswith("--from")]
    return [(words[:-1], words[-1]) for words in lines]


def service(name: str) -> dict[str, Any]:
    services: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    return services[name]


def test_linters_find_nothing() -> None:
    """hadolint for the Dockerfile, Compose's own schema for compose.yaml."""
    hadolint = shutil.which("hadolint", path=f"{BIN}{os.pathsep}{os.environ['PATH']}")
    if hadolint is None:
        pytest.skip("hadolint, of requirements-dev.txt, is not here")
    schema = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"]
    for command in ([hadolint, "Dockerfile"], schema):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_image_has_the_python_of_the_lock() -> None:
    """Both stages: what the first one installs and compiles, the second one runs."""
    version = (ROOT / ".python-version").read_text().strip()
    images = {line.split()[0] for line in instructions("FROM")}
    assert images == {f"python:{version}-slim-bookworm"}


def test_builder_gets_what_is_copied_and_no_secret() -> None:
    """Every source of a COPY exists and passes .dockerignore; `.env` does not."""
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for sources, _ in copied():
        for source in sources:
            assert list(ROOT.glob(source)), source
            assert source in kept, source
    assert not any(fnmatch.fnmatch(name, pattern) for pattern in kept for name in (".env", ".git", "tests"))


def test_container_answers_as_its_health_check_says(tmp_path: Path) -> None:
    """The steps of the Dockerfile without an engine: what is copied, what is run at build, what is started."""
    app = tmp_path / "app"
    for sources, target in copied():
        for source in (path for pattern in sources for path in ROOT.glob(pattern)):
            if source.is_dir():
                shutil.copytree(source, app / target)
            else:
                (app / target).mkdir(parents=True, exist_ok=True)
                shutil.copy(source, app / target)
    port = str(free_port())
    env = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "PORT": port, "INDEX_URL": "", "INDEX_SHA256": ""}
    (build,) = [line for line in instructions("RUN") if "fetch" in line]
    subprocess.run(["sh", "-c", build], cwd=app, env=env, check=True, capture_output=True)
    assert list((app / "src").rglob("*.pyc"))
    (probe,) = [json.loads(line.partition("CMD ")[2]) for line in instructions("HEALTHCHECK")]
    (start,) = instructions("CMD")

    def is_healthy() -> bool:
        return subprocess.run(probe, env=env, capture_output=True).returncode == 0

    assert not is_healthy()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(json.loads(start), cwd=app, env=env, stdout=log, stderr=log)
        try:
            wait_until(is_healthy, "the container's health")
            assert f"http://0.0.0.0:{port}" in (tmp_path / "log").read_text()
        finally:
            process.terminate()
            process.wait(timeout=30)


def test_server_is_not_root() -> None:
    """The last USER of the image is a number that is not root's, which a host can check."""
    assert int(instructions("USER")[-1]) > 0


def test_compose_starts_the_service_alone_unless_asked() -> None:
    """In the free plan's memory, reachable from this machine only."""
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert [name for name, it in services.items() if "profiles" not in it] == ["rag512"]
    assert service("rag512")["mem_limit"] == "${MEMORY_LIMIT_MB:-512}m"
    ports = [port for it in services.values() for port in it.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_compose_gives_the_arguments_that_the_dockerfile_takes() -> None:
    """A name that nothing reads would be silently ignored."""
    arguments = {line.partition("=")[0] for line in instructions("ARG")}
    assert set(service("rag512")["build"]["args"]) == arguments


def test_chroma_server_is_of_the_version_in_the_lock() -> None:
    """docs/upgrading.md asks for it."""
    locked = re.search(r"^chromadb==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert locked is not None
    assert service("chroma")["image"] == f"chromadb/chroma:{locked[1]}"
