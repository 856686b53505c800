"""The parsers, by file extension: each turns a file's bytes into clean Markdown, or into plain text where
`PLAIN_SUFFIXES` says so.

A new format is one more file here and one more line in `PARSERS`.
"""

from collections.abc import Callable

from src.ingestion.parsers.docx import parse_docx
from src.ingestion.parsers.email import parse_eml, parse_msg
from src.ingestion.parsers.epub import parse_epub
from src.ingestion.parsers.html import parse_html
from src.ingestion.parsers.parsed import Parsed
from src.ingestion.parsers.pdf import parse_pdf
from src.ingestion.parsers.pptx import parse_pptx
from src.ingestion.parsers.rst import parse_rst
from src.ingestion.parsers.tables import parse_csv, parse_xlsx
from src.ingestion.parsers.text import parse_markdown, parse_text

PARSERS: dict[str, Callable[[bytes], Parsed]] = {
    ".md": parse_markdown,
    ".markdown": parse_markdown,
    ".mdx": parse_markdown,
    ".txt": parse_text,
    ".rst": parse_rst,
    ".html": parse_html,
    ".htm": parse_html,
    ".pdf": parse_pdf,
    ".docx": parse_docx,
    ".pptx": parse_pptx,
    ".xlsx": parse_xlsx,
    ".csv": parse_csv,
    ".tsv": parse_csv,
    ".epub": parse_epub,
    ".eml": parse_eml,
    ".msg": parse_msg,
}
