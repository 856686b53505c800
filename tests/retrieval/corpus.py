"""A small corpus, and its chunks."""

from src.records import Document
from tests.fakes import cut_chunk

TEXTS = {
    "leave.md": ("Annual leave", "Everybody gets 25 days of holiday a year. Unused days lapse in March."),
    "on-call.md": ("On-call duty", "The pager rotates weekly. On-call engineers are reimbursed for each night."),
    "server.md": ("Server settings", "The setting max_requests is 50. The port is 8000."),
    "travel/rail trip.md": ("Travel", "Book trains, not planes. Travel costs are reimbursed within 30 days."),
}
DOCUMENTS = [Document(path, title, text, sha256="0" * 64) for path, (title, text) in TEXTS.items()]
CHUNKS = [cut_chunk(document) for document in DOCUMENTS]
