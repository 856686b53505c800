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

# The phases of a server's life, in the order in which they import.
TIMELINE = (
    ("start", "gunicorn.app.wsgiapp"),
    ("start", "flask"),
    ("start", "src.app_factory"),
    ("first keyed call", "limits"),
    ("first chat: model", "numpy"),
    ("first chat: model", "tokenizers"),
    ("first chat: model", "onnxruntime"),
    ("first chat: vectors", "chromadb_rust_bindings"),
    ("first call of an LLM", "requests"),
    ("first /metrics", "prometheus_client"),
    ("first /openapi.json", "yaml"),
)

# Nothing is imported for measuring but what the interpreter has. A lone process's PSS is its RSS.
_PROBE = """
import sys, time
def read():
    words = [line.split() for line in open("/proc/self/smaps_rollup").read().splitlines()[1:]]
    sizes = {word[0]: int(word[1]) / 1024 for word in words}
    return sizes["Rss:"], sizes["Anonymous:"], time.process_time(), len(sys.modules)
for name in sys.argv[1:]:
    before = read()
    __import__(name)
    print(*(after - before for after, before in zip(read(), before)))
"""


def measure_imports(modules: Sequence[str] = MODULES) -> list[Record]:
    """Import each module in a fresh process; one that is not installed has no numbers."""
    return [{"module": module, **_measure(module)} for module in modules]


def measure_timeline() -> list[Record]:
    """Import what the server imports, one after the other in one process; the sums run from the start."""
    modules = [module for _, module in TIMELINE]
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, *modules], cwd=ROOT, capture_output=True, text=True, check=True
    )
    records: list[Record] = []
    sum_mb = sum_cpu_s = 0.0
    for (phase, module), line in zip(TIMELINE, done.stdout.splitlines(), strict=True):
        alone_mb, anonymous_mb, cpu_s, _ = map(float, line.split())
        sum_mb, sum_cpu_s = sum_mb + alone_mb, sum_cpu_s + cpu_s
        step = {"alone_mb": alone_mb, "anonymous_mb": anonymous_mb, "cpu_s": cpu_s}
        records.append({"phase": phase, "module": module, **step, "sum_mb": sum_mb, "sum_cpu_s": sum_cpu_s})
    return records


def _measure(module: str) -> Record:
    done = subprocess.run([sys.executable, "-c", _PROBE, module], cwd=ROOT, capture_output=True, text=True)
    if done.returncode == 0:
        alone_mb, anonymous_mb, cpu_s, modules = map(float, done.stdout.split())
        return {"alone_mb": alone_mb, "anonymous_mb": anonymous_mb, "cpu_s": cpu_s, "modules": int(modules)}
    if "ModuleNotFoundError" not in done.stderr:
        raise RuntimeError(f"{module} cannot be imported:\n{done.stderr}")
    return dict.fromkeys(("alone_mb", "anonymous_mb", "cpu_s", "modules"))
