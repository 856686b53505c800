"""A progress bar with rate and time left on a terminal; nothing elsewhere."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


def show_progress(items: Iterable[T], what: str, total: int, unit: str) -> Iterator[T]:
    """Pass the items on and count them."""
    with progress_bar(what, total, unit) as bar:
        for item in items:
            yield item
            bar.update()


def progress_bar(what: str, total: int, unit: str) -> Any:
    """Open a bar whose `update(n)` counts."""
    from tqdm import tqdm

    # disable=None: quiet where there is no terminal
    return tqdm(total=total, desc=f"{what:<10}", unit=f" {unit}", disable=None, leave=False, smoothing=0.05)
