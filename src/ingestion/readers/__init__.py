"""One file per format; each turns a file's bytes into Markdown or plain text."""
