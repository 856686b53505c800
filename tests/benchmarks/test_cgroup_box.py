"""The box is a real cgroup, and no run leaves one behind."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cgroup_box import Box, BoxUnavailable
from tests.conftest import ROOT, wait_until

MAKE_AND_DIE = """
import os, signal, subprocess
from benchmarks.cgroup_box import Box
box = Box().__enter__()
command = ["sh", "-c", "echo inside; exec sleep 60"]
inside = box.start(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
inside.stdout.readline()
print(box.memory_group, inside.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def box() -> Box:
    try:
        with Box() as made:
            pass
    except BoxUnavailable as exc:
        pytest.skip(str(exc))
    return made


def test_box_of_a_killed_run_goes_with_all_in_it_when_the_next_is_made(box: Box) -> None:
    """Its server would else hold memory and its CPU share until the machine is restarted."""
    killed = subprocess.run([sys.executable, "-c", MAKE_AND_DIE], cwd=ROOT, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL
    group, pid = killed.stdout.split()
    assert Path(group).is_dir()
    with box:
        assert not Path(group).is_dir()
        wait_until(lambda: not Path("/proc", pid, "exe").exists(), "the end of what was in it", 10)
        assert box.memory_group.is_dir()
