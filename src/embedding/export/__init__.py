"""Exports a sentence-transformers model to the files of `data/model`; needs requirements-export.txt."""
