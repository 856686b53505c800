"""PowerPoint: a heading for each slide, its texts from top to bottom, tables, notes; a slide counts as a page."""

import io
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any

from src.ingestion.parsers.archive import check_archive, reading
from src.ingestion.parsers.parsed import Parsed, tidy
from src.ingestion.parsers.tables import render_rows

_SLIDE_BREAK = "\n\n"


def parse_pptx(data: bytes) -> Parsed:
    """Parse all slides; the core title is the title where there is one, else the first slide's heading.

    Raises:
        UnreadableDocument: encrypted, of the old binary format, broken, or far too large when unpacked.
    """
    import pptx
    from pptx.exc import PythonPptxError

    check_archive(data, ".pptx")
    with reading(".pptx", PythonPptxError):
        show = pptx.Presentation(io.BytesIO(data))
        slides = [tidy(_slide_text(slide)) for slide in show.slides]
        title = _one_line(show.core_properties.title or "")
    starts = accumulate((len(slide) + len(_SLIDE_BREAK) for slide in slides[:-1]), initial=0)
    is_default = title.casefold() in ("powerpoint presentation", "presentation")
    return Parsed(_SLIDE_BREAK.join(slides), "" if is_default else title, tuple(starts) if slides else ())


def _slide_text(slide: Any) -> str:
    heading = slide.shapes.title
    blocks = [f"## {_one_line(heading.text_frame.text)}"] if heading is not None and _one_line(heading.text) else []
    others = (shape for shape in slide.shapes if heading is None or shape.shape_id != heading.shape_id)
    blocks += _shape_texts(sorted(others, key=_place))
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        blocks += [line for line in slide.notes_slide.notes_text_frame.text.split("\n") if line.strip()]
    return "\n\n".join(blocks)


def _shape_texts(shapes: Iterable[Any]) -> Iterator[str]:
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _shape_texts(sorted(shape.shapes, key=_place))
        elif getattr(shape, "has_table", False):
            yield render_rows([cell.text for cell in row.cells] for row in shape.table.rows)
        elif shape.has_text_frame:
            yield from _paragraphs(shape)


def _paragraphs(shape: Any) -> Iterator[str]:
    """Give each paragraph; those of a body placeholder are the slide's list."""
    texts = [(paragraph.level, _one_line(paragraph.text)) for paragraph in shape.text_frame.paragraphs]
    lines = [(level, text) for level, text in texts if text]
    if shape.is_placeholder and len(lines) > 1:
        yield "\n".join(f"{'  ' * level}- {text}" for level, text in lines)
    else:
        yield from (text for _, text in lines)


def _place(shape: Any) -> tuple[int, int]:
    return shape.top or 0, shape.left or 0


def _one_line(text: str) -> str:
    return " ".join(text.split())
