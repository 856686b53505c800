"""The workflows for GitHub: valid, and with the commands that the README and the documentation give."""

import subprocess
import sys
from typing import Any

import yaml

from tests.conftest import ROOT

FOLDER = ROOT / ".github" / "workflows"


def steps_of(name: str) -> list[dict[str, Any]]:
    jobs = yaml.safe_load((FOLDER / name).read_text())["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


def commands_of(name: str) -> list[str]:
    return [step["run"] for step in steps_of(name) if "run" in step]


def test_workflows_are_valid() -> None:
    """GitHub's own schema accepts them; what a shell gets has no syntax error."""
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*checker, *map(str, sorted(FOLDER.iterdir()))], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("ci.yml", "index.yml"):
        for command in commands_of(name):
            subprocess.run(["bash", "-n", "-c", command], check=True)


def test_workflows_run_what_people_run() -> None:
    """The README's test command, and the build with its check."""
    readme = (ROOT / "README.md").read_text()
    assert "./run.sh test" in commands_of("ci.yml")
    assert "./run.sh build" in commands_of("index.yml")
    assert all(command in readme for command in ("./run.sh test", "./run.sh build"))
    assert ".venv/bin/python build_embeddings.py verify" in commands_of("index.yml")


def test_deploy_waits_for_the_tests_and_for_a_secret() -> None:
    """Without the hook nothing is deployed; the hook stands in no command."""
    deploy = yaml.safe_load((FOLDER / "ci.yml").read_text())["jobs"]["deploy"]
    assert deploy["needs"] == "test"
    (step,) = deploy["steps"]
    assert step["env"] == {"HOOK": "${{ secrets.RENDER_DEPLOY_HOOK }}"}
    # Without a PATH, so that a call of curl would fail.
    done = subprocess.run(
        ["/bin/bash", "-c", step["run"]], env={"HOOK": "", "PATH": "/none"}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "secrets" not in step["run"]


def test_index_is_committed_only_when_it_changed(tmp_path: Any) -> None:
    """Run in a clone with a remote: an unchanged index gives no commit, a changed one is pushed."""
    commit = next(command for command in commands_of("index.yml") if "git push" in command)
    script = commit.replace("gh workflow run ci.yml --ref main", "echo tested")
    remote, clone = tmp_path / "remote", tmp_path / "clone"
    subprocess.run(["git", "init", "--quiet", "--bare", str(remote)], check=True)
    subprocess.run(["git", "clone", "--quiet", str(remote), str(clone)], check=True, capture_output=True)
    (clone / "data/index").mkdir(parents=True)

    def run() -> str:
        done = subprocess.run(["bash", "-e", "-c", script], cwd=clone, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    (clone / "data/index/manifest.json").write_text("1")
    assert "tested" in run()
    assert "The index is as it was." in run()
    log = subprocess.run(["git", "log", "--format=%s"], cwd=remote, capture_output=True, text=True, check=True).stdout
    assert log == "Rebuild the index\n"


def test_index_is_published_or_committed() -> None:
    """A variable decides; the command is the documentation's, and no key stands in it."""
    (publish,) = [step for step in steps_of("index.yml") if "publish" in step.get("run", "")]
    (commit,) = [step for step in steps_of("index.yml") if "git push" in step.get("run", "")]
    assert (publish["if"], commit["if"]) == ("vars.INDEX_STORE != ''", "vars.INDEX_STORE == ''")
    assert ".venv/bin/python build_embeddings.py publish" in publish["run"]
    assert "secrets" not in publish["run"]


def test_build_command_of_the_blueprint_fetches_then_compiles() -> None:
    """Render's host gets a published index before the first start; a fetch that fails fails the deploy."""
    (service,) = yaml.safe_load((ROOT / "render.yaml").read_text())["services"]
    assert service["buildCommand"].split(" && ") == [
        "pip install -r requirements.txt",
        "python build_embeddings.py fetch",
        "python -m compileall -q src app.py gunicorn.conf.py",
    ]
