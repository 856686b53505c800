"""A live view of a running server in the terminal, from what it tells over HTTP."""

import time
from collections.abc import Mapping
from typing import Any

import requests
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

EVERY_S = 1.0
COLOURS = {"NORMAL": "green", "CAUTIOUS": "yellow", "DEGRADED": "red"}


def watch(url: str) -> None:
    """Show the server's memory until Ctrl+C; a server that does not answer is shown as such."""
    history_mb: list[float] = []
    known_workers: set[int] = set()
    with Live(console=Console(), screen=True, auto_refresh=False) as live:
        try:
            while True:
                try:
                    report = requests.get(url + "/memory/report", timeout=5).json()
                except (requests.RequestException, ValueError) as exc:
                    live.update(Text(f"{url} does not answer: {exc}", style="red"), refresh=True)
                else:
                    history_mb.append(report["charged_mb"])
                    known_workers |= {item["pid"] for item in report["processes"] if item["role"] == "worker"}
                    live.update(draw(url, report, history_mb[-60:], len(known_workers)), refresh=True)
                time.sleep(EVERY_S)
        except KeyboardInterrupt:
            return


def draw(url: str, report: Mapping[str, Any], history_mb: list[float], workers_seen: int) -> Group:
    """Lay one report out.

    Args:
        history_mb: the charge of the last minute, oldest first.
        workers_seen: how many different workers have been seen; one more than the hand-overs.
    """
    colour = COLOURS[report["mode"]]
    heading = Text.assemble(
        (url, "bold"),
        f"  {report['charged_mb']:.0f} MB of {report['limit_mb']:.0f} MB ({report['source']}), mode ",
        (report["mode"], colour),
        f", services {report['phase']}, hand-overs seen {max(0, workers_seen - 1)}",
    )
    bar = ProgressBar(total=report["limit_mb"], completed=report["charged_mb"], complete_style=colour)
    return Group(heading, bar, Text(sparkline(history_mb)), _processes(report), _counts(report))


def sparkline(values: list[float]) -> str:
    """Draw values as blocks between their least and their largest."""
    blocks = "▁▂▃▄▅▆▇█"
    low, high = min(values), max(values)
    return "".join(blocks[round((value - low) / (high - low or 1) * (len(blocks) - 1))] for value in values)


def _processes(report: Mapping[str, Any]) -> Table:
    table = Table("process", "pid", "RSS MB", "PSS MB", "VMS MB", "threads")
    for item in report["processes"]:
        sizes = (item["rss_mb"], item["pss_mb"] or "-", item["vms_mb"], item["threads"])
        table.add_row(item["role"], str(item["pid"]), *map(str, sizes))
    return table


def _counts(report: Mapping[str, Any]) -> Table:
    table = Table("of this worker", "")
    for name, cache in report["caches"].items():
        table.add_row(f"cache of {name}", f"{cache['entries']} entries, {cache['hits']} hits, {cache['misses']} misses")
    for name, number in report["counts"].items():
        table.add_row(name.replace("_", " "), str(number))
    for change in report["mode_history"][-5:]:
        table.add_row("mode", f"{change['before']} -> {change['after']} at {change['percent']} %")
    return table
