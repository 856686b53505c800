"""rag512: a retrieval-augmented generation service that fits into 512 MB."""

__version__ = "0.1.0"
