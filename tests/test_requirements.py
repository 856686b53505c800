"""Each requirements file brings what its first line says, and no more."""

import re
from importlib.metadata import PackageNotFoundError, requires

import pytest

from tests.conftest import ROOT

LARGE = {"torch", "transformers", "sentence-transformers", "ray", "pyarrow"}
BUILD = {"semantic-text-splitter", "mammoth", "pypdfium2", "nupunkt", "pebble"}


def read_names(file: str) -> set[str]:
    names: set[str] = set()
    for line in (ROOT / file).read_text().splitlines():
        if line.startswith("-r "):
            names |= read_names(line[3:])
        elif line[:1].isalnum():
            names.add(normalise(line))
    return names


def normalise(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def with_all_they_need(names: set[str]) -> set[str]:
    found, left = set(), set(names)
    while left:
        name = left.pop()
        found.add(name)
        try:
            needed = requires(name) or []
        except PackageNotFoundError:
            continue
        left |= {normalise(item) for item in needed if "extra ==" not in item} - found
    return found


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-build.txt", "requirements-dev.txt"])
def test_pytorch_and_ray_come_only_with_files_of_their_own(file: str) -> None:
    """A host that installs requirements.txt has 512 MB; a build and the tests need neither."""
    assert with_all_they_need(read_names(file)) & LARGE == set()
    assert read_names("requirements-export.txt") >= {"sentence-transformers"}
    assert read_names("requirements-ray.txt") >= {"ray"}


def test_server_carries_no_parser_and_no_splitter() -> None:
    """What only a build needs comes with requirements-build.txt."""
    assert with_all_they_need(read_names("requirements.txt")) & BUILD == set()
    assert read_names("requirements-build.txt") >= BUILD


def test_every_package_is_locked() -> None:
    """Two installations a year apart are the same."""
    locked = {normalise(line) for line in (ROOT / "constraints.txt").read_text().splitlines()}
    for file in ("requirements-dev.txt", "requirements-export.txt", "requirements-ray.txt"):
        assert read_names(file) <= locked
