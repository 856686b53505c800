"""What a build tells the person: a progress bar while it runs; at its end what was built and whether it will fit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from src.artifacts import COMFORTABLE_SHARE, MAX_COMMITTED_MB
from src.ingestion.loader import Skipped

# Chroma's vectors and graph in memory after the first query: +24 MB at 10,000 chunks, +99 MB at 50,000, measured.
CHUNK_KB = 2


@dataclass(frozen=True, slots=True)
class BuildReport:
    """One finished build.

    Args:
        embedded: texts that had to be embedded, chunks and sentences; None: the index was already what it should be.
        file_bytes: size of each file of the index, by name.
        base_mb: what the server takes with this model and a small index.
        unknown_languages: a warning about documents whose language the model does not know; "" where it knows all.
    """

    documents: int
    chunks: int
    sentences: int
    skipped: tuple[Skipped, ...]
    embedded: int | None
    seconds: float
    file_bytes: Mapping[str, int]
    memory_limit_mb: int
    base_mb: int
    unknown_languages: str = ""

    @property
    def serving_mb(self) -> int:
        """Predicted memory of the server after its first chat."""
        return round(self.base_mb + self.chunks * CHUNK_KB / 1000)

    @property
    def will_fit(self) -> bool:
        """Whether the server will work in NORMAL mode."""
        return self.serving_mb <= COMFORTABLE_SHARE * self.memory_limit_mb

    def summary(self, *, is_plan: bool = False) -> str:
        """The report as lines of text; a plan tells what a build would do."""
        lines = [f"Skipped {item.path}: {item.reason}" for item in self.skipped]
        lines += [
            f"Documents    {self.documents:,} read, {len(self.skipped):,} skipped",
            f"Chunks       {self.chunks:,} with {self.sentences:,} sentences",
            f"{'To embed' if is_plan else 'Embedded':<12} {self._embedded()}",
            f"Time         {self.seconds:.1f} s",
        ]
        if not is_plan:
            lines.append(f"Index        {sum(self.file_bytes.values()) / 1e6:.1f} MB on disk")
        lines.append(f"Serving      about {self.serving_mb:,} MB of {self.memory_limit_mb:,} MB")
        if not self.will_fit:
            room = max(0.0, COMFORTABLE_SHARE * self.memory_limit_mb - self.base_mb)
            most = round(room * 1000 / CHUNK_KB)
            lines.append(
                f"Warning: this will not fit. {self.memory_limit_mb} MB serve about {most:,} chunks with this model: "
                "leave documents out, let a Chroma server hold the vectors (CHROMA_URL), or take a larger plan and set "
                "MEMORY_LIMIT_MB."
            )
        if self.unknown_languages:
            lines.append(self.unknown_languages)
        if not is_plan:
            lines += [
                f"Warning: {name} is {size / 1e6:.0f} MB, and GitHub takes files of up to {MAX_COMMITTED_MB} MB: "
                "publish the index (docs/scaling.md), keep the file with Git LFS, or leave documents out."
                for name, size in self.file_bytes.items()
                if size > MAX_COMMITTED_MB * 1e6
            ]
        return "\n".join(lines)

    def _embedded(self) -> str:
        if self.embedded is None:
            return "nothing: the index is up to date and stays as it is"
        return f"{self.embedded:,} texts; what is known from before is kept"


def progress_bar(what: str, total: int, unit: str) -> Any:
    """Open a bar whose `update(n)` counts."""
    from tqdm import tqdm

    # disable=None: no bar where there is no terminal
    return tqdm(total=total, desc=f"{what:<10}", unit=f" {unit}", disable=None, leave=False, smoothing=0.05)
