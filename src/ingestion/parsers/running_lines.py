"""Running heads and feet of a PDF's pages, and their page numbers: they frame every page and are no sentence of any."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

# At most this many lines at either edge of a page are a head or a foot.
MAX_LINES = 3
# Two or three pages may begin alike by chance.
MIN_PAGES = 4
# What counts up with the pages is their number, unless it is an invoice's, say, which begins anywhere.
MAX_UNNUMBERED_PAGES = 20
_NUMBER = re.compile(r"(?<!\d)\d{1,5}(?!\d)")
_WORD = re.compile(r"[^\W\d_]{3}\w*")
_HERE = "\0"


def drop_running_lines(pages: Sequence[Sequence[str]]) -> list[list[str]]:
    """Drop the first and last lines that are the same on most pages or every second one, their page numbers aside.

    One that says more than the page's number stays where it comes first, so nothing that a person could ask for is
    lost. The only line of a page is its content.
    """
    kept = [_strip(lines) for lines in pages]
    for _ in ("heads", "feet, upside down"):
        kept = [lines[::-1] for lines in _drop_heads(kept)]
    return kept


def _drop_heads(pages: list[list[str]]) -> list[list[str]]:
    heads: list[list[str]] = [[] for _ in pages]
    bodies = list(pages)
    said: set[str] = set()
    for _ in range(MAX_LINES):
        found = _find_running([body[0] if len(body) > 1 else "" for body in bodies])
        for number, key in found.items():
            if _says_something(key) and key not in said:
                heads[number] += [bodies[number][0], ""]
            said.add(key)
            bodies[number] = _strip(bodies[number][1:])
    return [head + body for head, body in zip(heads, bodies, strict=True)]


def _find_running(lines: Sequence[str]) -> dict[int, str]:
    """Return what is the same on most pages, by the page's place; an empty line is none."""
    keys = [list(_keys(line, page)) if line else [] for page, line in enumerate(lines, start=1)]
    places: dict[str, list[int]] = defaultdict(list)
    for place, of_page in enumerate(of_page for of_page in keys if of_page):
        for key in of_page:
            places[key].append(place)
    pages = sum(map(bool, keys))
    running = {key for key, found in places.items() if _is_running(key, found, pages)}
    return {place: key for place, of_page in enumerate(keys) for key in of_page if key in running}


def _keys(line: str, page: int) -> Iterator[str]:
    """Give the line as it is, then with each number that may be the page's replaced by its distance from it."""
    text = " ".join(line.split()).casefold()
    yield text
    has_words = bool(_WORD.search(text))
    for number in _NUMBER.finditer(text):
        distance = int(number[0]) - page
        if abs(distance) <= MAX_UNNUMBERED_PAGES or not has_words:
            yield f"{text[: number.start()]}{_HERE}{distance}{_HERE}{text[number.end() :]}"


def _is_running(key: str, places: Sequence[int], pages: int) -> bool:
    """Tell what stands on most pages; or on every second one for a while, as a chapter's name on its right pages."""
    count = len(places)
    is_page_number = _HERE in key and not _says_something(key)
    is_everywhere = 2 * count > pages and (pages >= MIN_PAGES or (is_page_number and count > 1))
    return is_everywhere or (count >= MIN_PAGES and 2 * count > places[-1] - places[0] + 1)


def _says_something(key: str) -> bool:
    return _HERE not in key or len(_WORD.findall(key)) > 1


def _strip(lines: Sequence[str]) -> list[str]:
    """Leave out blank lines at both ends."""
    filled = [number for number, line in enumerate(lines) if line.strip()]
    return list(lines[filled[0] : filled[-1] + 1]) if filled else []
