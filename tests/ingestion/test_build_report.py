"""The report predicts serving memory from what was measured, and says what to do when it will not fit."""

from src.artifacts import COMFORTABLE_SHARE
from src.ingestion.build_report import BuildReport
from src.ingestion.loader import Skipped
from src.memory.thresholds import CAUTIOUS_PERCENT


def report(chunks: int, memory_limit_mb: int = 512, texts_bytes: int = 5_600_000, base_mb: int = 140) -> BuildReport:
    skipped = (Skipped("scan.pdf", "it has no text"),)
    file_bytes = {"lexical.sqlite3": texts_bytes}
    return BuildReport(3, chunks, 4 * chunks, skipped, 7, 12.34, file_bytes, memory_limit_mb, base_mb)


def test_serving_memory_grows_by_two_kilobytes_per_chunk() -> None:
    """140 MB with a small index, 2 MB for each thousand chunks."""
    assert report(0).serving_mb == 140
    assert report(10_000).serving_mb == 160
    assert report(10_000, base_mb=420).serving_mb == 440


def test_build_warns_from_where_the_server_saves_memory() -> None:
    """The server's first threshold, which the build may not import."""
    assert CAUTIOUS_PERCENT / 100 == COMFORTABLE_SHARE


def test_summary_names_the_skipped_and_the_counts() -> None:
    """What was built, what was left out and why."""
    summary = report(1200).summary()
    assert "Skipped scan.pdf: it has no text" in summary
    assert "3 read, 1 skipped" in summary
    assert "1,200 with 4,800 sentences" in summary
    assert "5.6 MB on disk" in summary
    assert "about 142 MB of 512 MB" in summary
    assert "Warning" not in summary


def test_index_that_will_not_fit_comes_with_a_cure() -> None:
    """78 % of 512 MB less 140 MB hold 129,680 chunks of 2 kB."""
    assert report(129_000).will_fit
    summary = report(135_000).summary()
    assert "Warning: this will not fit. 512 MB serve about 129,680 chunks" in summary
    assert "CHROMA_URL" in summary


def test_file_that_no_host_of_repositories_takes_comes_with_a_cure() -> None:
    """The index is committed; GitHub refuses files of over 100 MB."""
    summary = report(26_000, texts_bytes=101_000_000).summary()
    assert "Warning: lexical.sqlite3 is 101 MB, and GitHub takes files of up to 100 MB" in summary
    assert "Git LFS" in summary
    assert "GitHub" not in report(26_000, texts_bytes=100_000_000).summary()
    assert "GitHub" not in report(26_000, texts_bytes=101_000_000).summary(is_plan=True)
