"""A small app that stands for the real one: 50 MB and a warm-up of some time; files in TOY_DIR make it fail."""

import os
import threading
import time
from pathlib import Path

from flask import Flask, Response, jsonify

from src.memory.worker_recycling import get_recycling

STATE = Path(os.environ["TOY_DIR"])
WARM_UP_S = float(os.environ.get("TOY_WARM_UP_S", "0.05"))
MODEL_MB = int(os.environ.get("TOY_MODEL_MB", "50"))


def spend(seconds: float) -> None:
    """Take time as a load or an LLM call does; an event that never comes, because tests do not sleep."""
    threading.Event().wait(seconds)


class ToyServices:
    """What the app hands to its recycling."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.model: bytearray | None = None

    def warm_up(self) -> None:
        with self._lock:
            if self.model is not None:
                return
            if (STATE / "fail_warm_up").exists():
                raise RuntimeError("the toy cannot load")
            while (STATE / "hang_warm_up").exists():
                spend(0.02)
            spend(WARM_UP_S)
            self.model = bytearray(os.urandom(1024)) * (MODEL_MB * 1024)


leaked: list[bytes] = []
app = Flask(__name__)
services = ToyServices()
get_recycling().serve(services)


@app.post("/chat")
def chat() -> Response:
    was_warm = services.model is not None
    services.warm_up()
    if (STATE / "leak").exists():
        leaked.append(os.urandom(4 * 2**20))
    if (STATE / "degraded").exists():
        get_recycling().request("memory at 90%")
    started = time.perf_counter()
    while time.perf_counter() - started < 0.002:  # an embedding: CPU, one at a time
        pass
    spend(float(os.environ.get("TOY_ANSWER_S", "0.01")))
    return jsonify(pid=os.getpid(), was_warm=was_warm)


@app.get("/health")
def health() -> Response:
    return jsonify(pid=os.getpid(), ppid=os.getppid(), is_warm=services.model is not None)
