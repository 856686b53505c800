"""Cgroups are written as folders, as the kernel documents them, and once made for real."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from benchmarks.cgroup_box import Box, BoxUnavailable
from src.memory import memory_probe
from src.memory.memory_probe import MemoryProbe, MemoryReading
from tests.memory.fake_memory import FakeMemory

MB = 1024 * 1024


def write_group(folder: Path, version: int, *, limit: str | int, usage_mb: int = 100, inactive_mb: int = 30) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    key = "inactive_file" if version == 2 else "total_inactive_file"
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{usage_mb * MB}\n")
    (folder / "memory.stat").write_text(f"anon 1\nactive_file 7\n{key} {inactive_mb * MB}\nunevictable 0\n")


def make_proc(folder: Path, membership: str) -> Path:
    """A /proc whose only own file is this process's cgroup membership."""
    own = folder / "proc" / "self"
    own.mkdir(parents=True)
    (own / "cgroup").write_text(membership)
    return folder / "proc"


def read(folder: Path, membership: str, limit_mb: int = 512) -> MemoryReading:
    return MemoryProbe(limit_mb, cgroup_root=folder / "cgroup", proc=make_proc(folder, membership)).read()


def test_cgroup2_charge_is_usage_less_inactive_file(tmp_path: Path) -> None:
    """Inactive file pages are given up first, so they do not count."""
    write_group(tmp_path / "cgroup/app", 2, limit=256 * MB)
    assert read(tmp_path, "0::/app\n") == MemoryReading(70.0, 256.0, "cgroup2")


def test_cgroup1_charge_counts_the_groups_below(tmp_path: Path) -> None:
    """v1's own inactive_file leaves out the groups below; total_inactive_file does not."""
    write_group(tmp_path / "cgroup/memory/app", 1, limit=256 * MB)
    assert read(tmp_path, "9:name=systemd:/\n4:cpu,memory:/app\n0::/\n") == MemoryReading(70.0, 256.0, "cgroup1")


def test_lowest_limit_on_the_path_up_wins_with_its_own_charge(tmp_path: Path) -> None:
    """The kernel kills by the group that runs out first, whatever it holds beside us."""
    write_group(tmp_path / "cgroup/a", 2, limit=200 * MB, usage_mb=150, inactive_mb=0)
    write_group(tmp_path / "cgroup/a/b", 2, limit=400 * MB, usage_mb=90)
    write_group(tmp_path / "cgroup/a/b/c", 2, limit="max", usage_mb=80)
    assert read(tmp_path, "0::/a/b/c\n") == MemoryReading(150.0, 200.0, "cgroup2")


def test_path_of_the_host_falls_back_to_the_container_root(tmp_path: Path) -> None:
    """Without a cgroup namespace the path is the host's and does not exist in the container."""
    write_group(tmp_path / "cgroup/memory", 1, limit=512 * MB)
    assert read(tmp_path, "4:memory:/docker/0123\n") == MemoryReading(70.0, 512.0, "cgroup1")


@pytest.mark.parametrize("limit", ["max", 8192 * MB])
def test_cgroup_without_a_binding_limit_counts_the_processes(tmp_path: Path, limit: str | int) -> None:
    """A developer's container of 8 GB holds other programs, which must not push this server into DEGRADED."""
    write_group(tmp_path / "cgroup/app", 2, limit=limit, usage_mb=6000)
    reading = MemoryProbe(512, cgroup_root=tmp_path / "cgroup").read()
    assert (reading.source, reading.limit_mb) == ("pss", 512.0)


def test_missing_stat_counts_the_processes_and_says_so_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that vanished is no reason to stop, nor to fill the log."""
    write_group(tmp_path / "cgroup/app", 2, limit=256 * MB)
    proc = make_proc(tmp_path, "0::/app\n")
    probe = MemoryProbe(512, cgroup_root=tmp_path / "cgroup", proc=proc)
    (tmp_path / "cgroup/app/memory.stat").unlink()
    (proc / str(os.getpid())).symlink_to(f"/proc/{os.getpid()}")
    with caplog.at_level(logging.WARNING):
        readings = [probe.read() for _ in range(3)]
    assert [reading.source for reading in readings] == ["pss"] * 3
    assert readings[0].limit_mb == 256.0
    assert [record.message.split(" (")[0] for record in caplog.records] == ["The memory cgroup cannot be read"]


def test_stat_without_the_line_is_told_by_its_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log says what the kernel does not tell."""
    write_group(tmp_path / "cgroup/app", 2, limit=256 * MB)
    (tmp_path / "cgroup/app/memory.stat").write_text("anon 1\n")
    with caplog.at_level(logging.WARNING):
        read(tmp_path, "0::/app\n")
    assert "memory.stat has no line inactive_file)" in caplog.text


def test_unreadable_limit_counts_the_processes_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Words where a number belongs are treated as no cgroup at all."""
    write_group(tmp_path / "cgroup/app", 2, limit="plenty")
    with caplog.at_level(logging.WARNING):
        reading = read(tmp_path, "0::/app\n")
    assert reading.limit_mb == 512.0
    assert "No memory cgroup can be found" in caplog.records[0].message


def test_no_smaps_rollup_counts_rss(tmp_path: Path) -> None:
    """Some sandboxes have no smaps_rollup; RSS counts shared pages twice but is there."""
    proc = make_proc(tmp_path, "0::/\n")
    (proc / "self/statm").write_text("5000 2560 100 1 0 1 0\n")
    (proc / str(os.getpid())).symlink_to(proc / "self")
    reading = MemoryProbe(512, cgroup_root=tmp_path / "cgroup", proc=proc).read()
    assert (reading.source, reading.charged_mb) == ("rss", 2560 * os.sysconf("SC_PAGE_SIZE") / MB)


def test_processes_are_read_once_a_second_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reading that must be fresh, or one in a process that was forked meanwhile, is read at once."""
    clock = SimpleNamespace(now_s=100.0)
    monkeypatch.setattr(memory_probe, "time", SimpleNamespace(monotonic=lambda: clock.now_s))
    own = make_proc(tmp_path, "0::/\n") / "self"
    own.rename(tmp_path / "proc" / str(os.getpid()))
    own.symlink_to(tmp_path / "proc" / str(os.getpid()))
    probe = MemoryProbe(512, cgroup_root=tmp_path / "cgroup", proc=tmp_path / "proc")

    def read_after(seconds: float, pages: int, *, is_fresh: bool = False) -> float:
        clock.now_s += seconds
        (own / "statm").write_text(f"9000 {pages} 100 1 0 1 0\n")
        return probe.read(is_fresh=is_fresh).charged_mb * MB / os.sysconf("SC_PAGE_SIZE")

    assert [read_after(0, 2000), read_after(0.9, 3000), read_after(0.2, 4000)] == [2000, 2000, 4000]
    assert read_after(0, 5000, is_fresh=True) == 5000
    (tmp_path / "proc" / "1").mkdir()
    monkeypatch.setattr(os, "getpid", lambda: 1)
    own.unlink()
    own.symlink_to(tmp_path / "proc" / "1")
    assert read_after(0, 6000) == 6000


def test_what_is_available_is_what_the_limit_leaves(tmp_path: Path) -> None:
    """Not less than nothing."""
    memory = FakeMemory(tmp_path, limit_mb=256)
    memory.hold(50)
    for charged_mb, available_mb in ((70, 186), (300, 0)):
        memory.charge(charged_mb)
        assert memory.probe.describe().endswith(f", available={available_mb}.0 MB")


def test_own_memory_is_as_psutil_sees_it() -> None:
    """psutil is the second implementation; between the two readings a page or two may come."""
    mine, theirs = MemoryProbe(512).own(), psutil.Process().memory_full_info()
    assert mine.rss_mb == pytest.approx(theirs.rss / MB, rel=0.02)
    assert mine.vms_mb == pytest.approx(theirs.vms / MB, rel=0.02)
    assert mine.anonymous_mb == pytest.approx((theirs.rss - theirs.shared) / MB, rel=0.02)


def test_own_memory_without_proc_is_the_rss(tmp_path: Path) -> None:
    """On a Mac that is all that there is."""
    probe = MemoryProbe(512, proc=tmp_path / "none")
    without = probe.own()
    assert without.rss_mb == without.anonymous_mb == pytest.approx(MemoryProbe(512).own().rss_mb, rel=0.02)
    assert without.vms_mb == 0.0
    reading = probe.read()
    assert (reading.source, reading.charged_mb) == ("rss", pytest.approx(without.rss_mb, rel=0.02))


def test_report_of_a_lone_process_is_as_psutil_sees_it() -> None:
    """pytest is no gunicorn: one process, whose parent is another program."""
    (mine,) = MemoryProbe(512).processes()
    theirs = psutil.Process().memory_full_info()
    assert (mine.pid, mine.role, mine.threads) == (os.getpid(), "single", psutil.Process().num_threads())
    assert mine.rss_mb == pytest.approx(theirs.rss / MB, rel=0.02)
    assert mine.pss_mb == pytest.approx(theirs.pss / MB, rel=0.02)
    assert mine.vms_mb == pytest.approx(theirs.vms / MB, rel=0.02)


def test_charge_without_a_cgroup_is_every_process_of_the_server() -> None:
    """Master and workers have one command line; the tree is read from any of them."""
    program = """
import os
from src.memory.memory_probe import MemoryProbe
master = os.getpid()
read_end, write_end = os.pipe()
if os.fork() == 0:
    os.read(read_end, 1)
    os._exit(0)
if os.fork() == 0:
    kept = bytearray(b"x") * (30 * 2**20)
    probe = MemoryProbe(512)
    before = probe.read().charged_mb
    kept += bytearray(b"x") * (30 * 2**20)
    after = probe.read(is_fresh=True).charged_mb
    processes = probe.processes()
    pids, roles = [process.pid for process in processes], [process.role for process in processes]
    ok = pids[0] == master and len(set(pids)) == 3 and os.getpid() in pids and roles == ["master", "worker", "worker"]
    print(ok, 25 < after - before < 100, flush=True)
    os.write(write_end, b"x")
    os._exit(0)
os.wait(); os.wait()
"""
    if MemoryProbe(512).read().source != "pss":
        pytest.skip("this machine has a cgroup that binds")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"


def test_real_box_is_found_and_read() -> None:
    """In a real cgroup of 300 MB the probe finds the limit and what 60 MB more do to the charge."""
    program = (
        "import json; from src.memory.memory_probe import MemoryProbe; probe = MemoryProbe(512); before = probe.read();"
        "kept = bytearray(b'x') * (60 * 2**20); after = probe.read();"
        "print(json.dumps([before.source, before.limit_mb, after.charged_mb - before.charged_mb]))"
    )
    try:
        with Box(memory_mb=300, cpus=None) as box:
            process = box.start([sys.executable, "-c", program], stdout=subprocess.PIPE)
            output, _ = process.communicate(timeout=60)
            source, limit_mb, growth_mb = json.loads(output)
            assert (source, limit_mb) == (f"cgroup{box.version}", 300.0)
            assert growth_mb == pytest.approx(60, abs=3)
            assert box.peak_mb > 60
    except BoxUnavailable as exc:
        pytest.skip(str(exc))


def test_box_kills_what_outgrows_it_and_leaves_no_group() -> None:
    """The box is real: 60 MB do not fit into 40, and afterwards nothing of it is left."""
    try:
        with Box(memory_mb=40, cpus=0.5) as box:
            group = box.memory_group
            process = box.start([sys.executable, "-c", "kept = bytearray(b'x') * (60 * 2**20)"])
            assert process.wait(timeout=60) == -9
            assert box.oom_kills == 1
    except BoxUnavailable as exc:
        pytest.skip(str(exc))
    assert not group.exists()


def test_box_that_cannot_be_made_says_how_to_have_one(tmp_path: Path) -> None:
    """It never pretends: no cgroup file system, no box, and the message names the way."""
    with pytest.raises(BoxUnavailable, match="docker run --memory"), Box(cgroup_root=tmp_path):
        pass
