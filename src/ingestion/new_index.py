"""An index that is being written into an empty folder: first the texts, then their embeddings, then what it holds.

The texts go into the index's own database as they are parsed, and every later step reads them from there: a large
folder of documents is never in memory. `open_index` opens what this writes.
"""

import hashlib
import json
from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from src.artifacts import LEXICAL_FILE, SCHEMA_VERSION, BuildResults, IndexSpec, Manifest, ModelCard, measure_files
from src.checksums import write_checksums
from src.ingestion.build_report import progress_bar
from src.ingestion.calibration import choose_floors
from src.ingestion.chunker import embedding_text
from src.ingestion.kept_embeddings import Embed, KeptEmbeddings, Kind, sentence_texts
from src.ingestion.languages import detect_language, is_known
from src.ingestion.loader import Skipped
from src.ingestion.parser_process import SplitDocument
from src.retrieval.index import Encoder
from src.retrieval.text_writer import TextWriter
from src.retrieval.vector_store import create_vectors, store_format

# Chunks embedded between two entries into the file of kept embeddings: what a kill can cost.
CHUNKS_PER_BATCH = 64


class NewIndex:
    """The parts of one index, written in the order of the methods.

    Attributes:
        hashes: SHA-256 of each document's file, by path.
        languages: of each document, by path.
        skipped: the files that are not in the index, by path.
        chunks, sentences: how many there are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer = TextWriter(folder / LEXICAL_FILE)
        self._digest = hashlib.sha256()
        self.hashes: dict[str, str] = {}
        self.languages: dict[str, str] = {}
        self.skipped: list[Skipped] = []
        self.chunks = self.sentences = 0

    def add(self, item: SplitDocument | Skipped) -> None:
        """Write a document with its chunks, or remember why there is none."""
        if isinstance(item, Skipped):
            insort(self.skipped, item, key=lambda skipped: skipped.path)
            return
        document, chunks = item.document, item.chunks
        language = self.languages[document.path] = detect_language(document.text)
        self._writer.add_document(document, chunks, language)
        about = (document.path, document.title, document.text, document.page_starts, document.links)
        cuts = [(chunk.section, chunk.page, chunk.start, chunk.end, chunk.sentences, chunk.lead) for chunk in chunks]
        self._digest.update(json.dumps((*about, cuts)).encode())
        self.hashes[document.path] = document.sha256
        self.chunks += len(chunks)
        self.sentences += sum(len(chunk.sentences) for chunk in chunks)

    def specify(self, card: ModelCard, encoder: str, splitter: str) -> IndexSpec:
        """Say what this index is to be, now that its texts are known."""
        return IndexSpec(
            schema_version=SCHEMA_VERSION,
            store_format=store_format(),
            model_name=card.name,
            model_fingerprint=card.fingerprint,
            dimension=card.dimension,
            encoder=encoder,
            splitter=splitter,
            document_hashes=self.hashes,
            skipped={item.path: item.reason for item in self.skipped},
            texts_sha256=self._digest.hexdigest(),
            languages=dict(sorted(Counter(self.languages.values()).items())),
            unknown_documents=[
                path for path, language in self.languages.items() if not is_known(language, card.languages)
            ],
        )

    def embed(self, kept: KeptEmbeddings, embed: Embed) -> int:
        """Embed the chunks and sentences that are not among the kept ones, and keep them; return how many texts."""
        with progress_bar("Embedding", self.chunks + self.sentences, "texts") as bar:
            return kept.complete(self._iter_texts(), embed, bar.update)

    def finish(self, spec: IndexSpec, kept: KeptEmbeddings, get_encoder: Callable[[], Encoder]) -> None:
        """Write the embeddings, all of which are kept, then the manifest, and the checksums last."""
        digest = self._write_embeddings(kept, spec.dimension)
        self._writer.finish()
        self._writer.close()
        results = BuildResults(self.chunks, digest, None, measure_files(self._folder))
        floors = choose_floors(self._folder, Manifest(spec, results), get_encoder)
        Manifest(spec, replace(results, relevance_floors=floors)).save(self._folder)
        write_checksums(self._folder)

    def close(self) -> None:
        """Close the file of the texts."""
        self._writer.close()

    def _iter_texts(self) -> Iterator[tuple[Kind, list[str]]]:
        chunks = self._writer.texts.iter_chunks()
        while batch := list(islice(chunks, CHUNKS_PER_BATCH)):
            yield "chunk", [embedding_text(chunk) for chunk in batch]
            yield "sentence", [text for chunk in batch for text in sentence_texts(chunk)]

    def _write_embeddings(self, kept: KeptEmbeddings, dimension: int) -> str:
        """Put each sentence's embedding beside the texts and each chunk's into the vector store; return their hash."""
        chunk_ids: list[str] = []
        documents: list[str] = []
        embeddings = np.empty((self.chunks, dimension), dtype=np.float16)
        digest = hashlib.sha256()
        for row, chunk in enumerate(self._writer.texts.iter_chunks()):
            sentences = kept.get("sentence", sentence_texts(chunk), dimension)
            self._writer.add_sentence_embeddings(chunk.chunk_id, sentences.astype(np.int8, copy=False))
            embeddings[row] = kept.get("chunk", [embedding_text(chunk)], dimension)[0]
            digest.update(embeddings[row].astype(np.float32).tobytes())
            chunk_ids.append(chunk.chunk_id)
            documents.append(chunk.document)
        create_vectors(self._folder, chunk_ids, documents, embeddings)
        return digest.hexdigest()
