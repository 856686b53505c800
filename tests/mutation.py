"""Finds what no test notices: `python -m tests.mutation [FILE or FOLDER ...]`; by default four folders of `src`.

cosmic-ray makes small changes to a file, one at a time, in a copy of the repository: another comparison, sign, `and` or
`not`. For each change the quick tests of the file or its folder run. A change that passes them all survives and is
shown. `[tool.mutation]` in pyproject.toml names the folders, their tests and the kinds of change.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from benchmarks.running_server import ROOT

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutation"]
BIN = Path(sys.executable).parent  # of this virtual environment
# The bytecode of a changed file must not outlive the change. Loading pytest's plugins takes longer than the tests.
ENVIRONMENT = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
PYTEST = ("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider")
TIMEOUT_S = 60.0


def main() -> int:
    """Change the files, print each change that survives, then the counts; 1 if any survives."""
    wanted = [Path(name) for name in sys.argv[1:] or SETTINGS["tests"]]
    found = [file for path in wanted for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    files = [file for file in dict.fromkeys(found) if file.stat().st_size]
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(os.cpu_count() or 1):
            copies.put(_copy(Path(folder) / f"copy-{number}"))
        with ThreadPoolExecutor(copies.qsize()) as pool:
            for file, changes in zip(files, pool.map(lambda file: _change(file, copies), files), strict=True):
                counts = Counter(change["test_outcome"] for change in changes)
                outcomes += counts
                print(f"{file}: {dict(counts)}", flush=True)
                for change in changes:
                    if change["test_outcome"] == "survived":
                        print("\n".join(change["diff"].splitlines()[2:]), flush=True)
    print(f"All together: {dict(outcomes)}")
    return int(outcomes["survived"] > 0)


def _copy(target: Path) -> Path:
    shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(".*", "__pycache__", "data"))
    (target / "data").symlink_to(ROOT / "data")
    return target


def _change(file: Path, copies: "SimpleQueue[Path]") -> list[dict[str, Any]]:
    """Make every change to one file, and return what became of each."""
    tests = next(arguments for folder, arguments in SETTINGS["tests"].items() if file.is_relative_to(folder))
    copy = copies.get()
    try:
        (copy / "c.toml").write_text(_describe(file, tests))
        _run(copy, "python", *PYTEST, *tests.split())  # unchanged, they must pass, or every change would look noticed
        _run(copy, "cosmic-ray", "init", "--force", "c.toml", "c.sqlite")
        _run(copy, "cr-filter-operators", "c.sqlite", "c.toml")
        _run(copy, "cosmic-ray", "exec", "c.toml", "c.sqlite")
        results = [json.loads(line)[1] for line in _run(copy, "cosmic-ray", "dump", "c.sqlite").splitlines()]
        return [result for result in results if result["worker_outcome"] != "skipped"]
    finally:
        copies.put(copy)


def _run(copy: Path, program: str, *arguments: str) -> str:
    done = subprocess.run([BIN / program, *arguments], cwd=copy, env=ENVIRONMENT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{program} {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _describe(file: Path, tests: str) -> str:
    """Write cosmic-ray's configuration for one file."""
    command = json.dumps(shlex.join(("sh", "-c", _write_command(file, tests))))
    kinds = "|".join(SETTINGS["kinds"])
    return f"""
[cosmic-ray]
module-path = {json.dumps(str(file))}
timeout = {TIMEOUT_S}
excluded-modules = []
test-command = {command}
distributor.name = "local"

[cosmic-ray.filters.operators-filter]
exclude-operators = ["core/(?!({kinds})$).*"]
"""


def _write_command(file: Path, tests: str) -> str:
    """The file's own tests notice most changes; the folder's others run if they do not."""
    own = Path("tests", *file.parts[1:-1], f"test_{file.name}")
    pytest = shlex.join((str(BIN / "python"), *PYTEST))
    if not (ROOT / own).exists() or f"--ignore={own}" in tests.split():
        return f"{pytest} {tests}"
    return f"{pytest} {own} && {pytest} {tests} --ignore={own}"


if __name__ == "__main__":
    sys.exit(main())
