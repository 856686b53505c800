"""What each import costs, in a fresh process of its own."""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.running_server import ROOT
from benchmarks.tables import Record

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

# What the server imports, psutil for its reports, then what it does without.
MODULES = (*(module for _, module in TIMELINE), "psutil", "chromadb", "torch", "sentence_transformers")

COSTS = ("alone_mb", "anonymous_mb", "cpu_s", "modules")
# Nothing is imported for measuring but what the interpreter has. A lone process's PSS is its RSS.
_PROBE = """
import sys, time
def read():
    words = [line.split() for line in open("/proc/self/smaps_rollup").read().splitlines()[1:]]
    sizes = {word[0]: int(word[1]) / 1024 for word in words}
    return sizes["Rss:"], sizes["Anonymous:"], time.process_time(), len(sys.modules)
for name in sys.argv[1:]:
    before = read()
    try:
        __import__(name)
    except ModuleNotFoundError:
        print("[null, null, null, null]")
    else:
        print([after - before for after, before in zip(read(), before)])
"""


def measure_imports(modules: Sequence[str]) -> list[Record]:
    """Import each module in a fresh process."""
    return [{"module": module, **_import([module])[0]} for module in modules]


def measure_timeline() -> list[Record]:
    """Import what the server imports, one after the other in one process; the sums run from the start."""
    records: list[Record] = []
    sum_mb = sum_cpu_s = 0.0
    costs = _import([module for _, module in TIMELINE])
    for (phase, module), cost in zip(TIMELINE, costs, strict=True):
        sum_mb, sum_cpu_s = sum_mb + cost["alone_mb"], sum_cpu_s + cost["cpu_s"]
        records.append({"phase": phase, "module": module, **cost, "sum_mb": sum_mb, "sum_cpu_s": sum_cpu_s})
    return records


def _import(modules: Sequence[str]) -> list[dict[str, Any]]:
    """Import modules in a fresh process, and tell what each cost; one that is not installed has no numbers."""
    command = [sys.executable, "-c", _PROBE, *modules]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return [dict(zip(COSTS, json.loads(line), strict=True)) for line in done.stdout.splitlines()]
