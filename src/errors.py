"""Every error this project raises on purpose, drawn as a tree.

RagError                    a message a person can act on: what happened, with which value, what to do
├── ConfigError             an environment variable is wrong; the start stops
├── ArtifactError           something under INDEX_DIR or MODEL_DIR cannot be used; names the cure
├── BuildError              the offline build cannot go on; the old index is untouched
│   ├── UnreadableDocument  one file cannot be read; the build names it and goes on
│   └── StorageError        a published index cannot be read there, or not be written
├── RequestError            the caller's fault: status 4xx
├── ServiceUnavailable      not now: 503 with Retry-After
│   └── NoThreads           the system gives no more threads
├── VectorsUnavailable      the vectors cannot be asked now; the word index answers
└── GenerationError         the LLM gave no usable answer; the pipeline answers extractively
"""


class RagError(Exception):
    """Base of all errors raised on purpose; `str()` is fit for a person to read."""


class ConfigError(RagError):
    """An environment variable has a value that cannot be used."""


class ArtifactError(RagError):
    """The index or the model on disk cannot be used."""


class BuildError(RagError):
    """The offline build cannot go on."""


class UnreadableDocument(BuildError):
    """One file cannot be read as a document."""


class StorageError(BuildError):
    """A published index cannot be read where it lies, cannot be used, or cannot be written there.

    Args:
        may_pass: the same attempt may succeed a little later.
    """

    def __init__(self, message: str, *, may_pass: bool = False) -> None:
        super().__init__(message)
        self.may_pass = may_pass


class RequestError(RagError):
    """The request cannot be served as it is.

    Args:
        status: HTTP status, 400 to 499.
        code: a stable word for programs, such as `invalid_request`.
        retry_after_s: seconds after which the same request may succeed; None where waiting does not help.
    """

    def __init__(
        self, message: str, *, status: int = 400, code: str = "invalid_request", retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s


class ServiceUnavailable(RagError):
    """The service cannot answer now but may soon.

    Args:
        retry_after_s: seconds after which it is worth asking again.
        code: a stable word for programs, such as `warming_up`.
    """

    status = 503

    def __init__(self, message: str, *, retry_after_s: int, code: str) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.code = code


class NoThreads(ServiceUnavailable):
    """The system gives this process no more threads."""

    def __init__(self) -> None:
        message = "The system gives no more threads, so nothing is searched. Raise its limit of processes (pids)."
        super().__init__(message, retry_after_s=5, code="no_threads")


class VectorsUnavailable(RagError):
    """The vectors cannot be asked now."""


class GenerationError(RagError):
    """The LLM gave no usable answer, whatever the reason."""
