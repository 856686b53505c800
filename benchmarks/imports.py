"""What each import costs, in a fresh process of its own."""

import subprocess
import sys
from collections.abc import Sequence

from benchmarks.running_server import ROOT
from benchmarks.tables import Record

# What the server imports at start, with the first chat, on demand; then what it does without.
MODULES = (
    "gunicorn.app.wsgiapp",
    "flask",
    "src.app_factory",
    "numpy",
    "tokenizers",
    "onnxruntime",
    "chromadb_rust_bindings",
    "requests",
    "limits",
    "yaml",
    "prometheus_client",
    "psutil",
    "chromadb",
    "torch",
    "sentence_transformers",
)

# Nothing is imported for measuring but what the interpreter has. A lone process's PSS is its RSS.
_PROBE = """
import sys, time
def read():
    words = [line.split() for line in open("/proc/self/smaps_rollup").read().splitlines()[1:]]
    sizes = {word[0]: int(word[1]) / 1024 for word in words}
    return sizes["Rss:"], sizes["Anonymous:"], time.process_time(), len(sys.modules)
before = read()
__import__(sys.argv[1])
print(*(after - before for after, before in zip(read(), before)))
"""


def measure_imports(modules: Sequence[str] = MODULES) -> list[Record]:
    """Import each module in a fresh process; one that is not installed has no numbers."""
    return [{"module": module, **_measure(module)} for module in modules]


def _measure(module: str) -> Record:
    done = subprocess.run([sys.executable, "-c", _PROBE, module], cwd=ROOT, capture_output=True, text=True)
    if done.returncode == 0:
        alone_mb, anonymous_mb, cpu_s, modules = map(float, done.stdout.split())
        return {"alone_mb": alone_mb, "anonymous_mb": anonymous_mb, "cpu_s": cpu_s, "modules": int(modules)}
    if "ModuleNotFoundError" not in done.stderr:
        raise RuntimeError(f"{module} cannot be imported:\n{done.stderr}")
    return dict.fromkeys(("alone_mb", "anonymous_mb", "cpu_s", "modules"))
