"""Plain text, taken as it is."""

from src.ingestion.readers.reading import Reading, decode


def read_text(data: bytes) -> Reading:
    """Read a plain text file."""
    return Reading(decode(data))
