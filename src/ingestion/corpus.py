"""The documents and passages of one build, on disk: a large folder is not held in memory."""

import pickle
import tempfile
from collections.abc import Iterator
from pathlib import Path

from src.artifacts import TOKENIZER_FILE, ModelCard
from src.errors import BuildError
from src.ingestion.loader import Skipped, formats, list_files
from src.ingestion.progress import show_progress
from src.ingestion.parser_process import SplitDocument, parse_files
from src.records import Chunk, Document


class Corpus:
    """Everything that was read, in the order of the paths; iterated as often as needed.

    Attributes:
        hashes: SHA-256 of each document's file, by path.
        chunks, sentences: how many there are.
    """

    def __init__(self, folder: Path) -> None:
        """Make an empty one, in a nameless file of the folder that goes away with it."""
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by close()
        self.hashes: dict[str, str] = {}
        self.skipped: list[Skipped] = []
        self.chunks = self.sentences = 0

    def read(self, documents_dir: Path, model_dir: Path, card: ModelCard) -> None:
        """Read and split all files below a folder.

        Raises:
            BuildError: the folder cannot be listed, or there is nothing to index in it.
        """
        found = list_files(documents_dir)
        paths = [item for item in found if isinstance(item, str)]
        self.skipped += [item for item in found if isinstance(item, Skipped)]
        items = parse_files(documents_dir, paths, model_dir / TOKENIZER_FILE, card.max_tokens)
        for item in show_progress(items, "Reading", len(paths), "files"):
            self.add(item)
        self.skipped.sort(key=lambda item: item.path)
        if not self.hashes:
            seen = "".join(f"\n  {item.path}: {item.reason}" for item in self.skipped)
            raise BuildError(f"There is nothing to index in {documents_dir}. Put documents there: {formats()}.{seen}")

    def add(self, item: SplitDocument | Skipped) -> None:
        """Keep a document, or that there is none."""
        if isinstance(item, Skipped):
            self.skipped.append(item)
            return
        pickle.dump(item, self._file, pickle.HIGHEST_PROTOCOL)
        self.hashes[item.document.path] = item.document.sha256
        self.chunks += len(item.chunks)
        self.sentences += sum(len(chunk.sentences) for chunk in item.chunks)

    def __iter__(self) -> Iterator[SplitDocument]:
        at = 0
        for _ in range(len(self.hashes)):
            self._file.seek(at)
            item: SplitDocument = pickle.load(self._file)  # noqa: S301 - written by this very object
            at = self._file.tell()
            yield item

    def iter_documents(self) -> Iterator[Document]:
        """Go through the documents."""
        return (item.document for item in self)

    def iter_chunks(self) -> Iterator[Chunk]:
        """Go through the passages of all documents."""
        return (chunk for item in self for chunk in item.chunks)

    def close(self) -> None:
        """Let the file go."""
        self._file.close()
