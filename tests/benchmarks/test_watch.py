"""The live view draws what /memory/report says."""

import io

from rich.console import Console

from benchmarks.watch import draw, sparkline
from tests.conftest import Server


def test_sparkline_spans_lowest_to_highest() -> None:
    """The least value is the lowest block, the largest the highest."""
    assert sparkline([1.0, 8.0, 4.5]) == "▁█▅"
    assert sparkline([3.0, 3.0]) == "▁▁"


def test_report_of_the_real_server_can_be_drawn(server: Server) -> None:
    """Master and worker, the mode, and how many hand-overs were seen."""
    server.ask("How many days of annual leave are there?")
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(draw(server.url, server.get("/memory/report").json(), [30.0, 90.0], 3))
    text = console.export_text()
    for expected in ("NORMAL", "hand-overs seen 2", "master", "worker", "cache of results", "services ready"):
        assert expected in text
