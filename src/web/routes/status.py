"""`GET /health`, `GET /ready` and `GET /openapi.json`: cheap, and never behind a load or a chat."""

import json
from functools import lru_cache
from pathlib import Path

from flask import Blueprint, Response, current_app, jsonify
from flask.typing import ResponseReturnValue

from src import __version__
from src.errors import ArtifactError
from src.records import MemoryMode
from src.web.services import Services, get_services

status_routes = Blueprint("status", __name__)


@status_routes.get("/health")
def health() -> ResponseReturnValue:
    """Tell that the process lives, and how much memory it is charged."""
    memory = get_services().memory
    reading = memory.read()
    return jsonify(
        status="healthy" if memory.mode is MemoryMode.NORMAL else "degraded",
        memory_mb=round(reading.charged_mb, 1),
        memory_percent=round(reading.percent, 1),
        memory_limit_mb=round(reading.limit_mb),
        mode=memory.mode.value,
        version=__version__,
    )


@status_routes.get("/ready")
def ready() -> ResponseReturnValue:
    """Tell which services are loaded, without loading any."""
    services = get_services()
    phase = services.readiness.phase
    index, error = _index(services)
    return jsonify(
        ready=phase == "ready",
        phase=phase,
        loaded=services.loaded(),
        index=index,
        error=error or services.readiness.error,
    )


def _index(services: Services) -> tuple[dict[str, object] | None, str | None]:
    try:
        manifest = services.get_manifest()
    except ArtifactError as exc:
        return None, str(exc)
    return {
        "documents": len(manifest.spec.document_hashes),
        "chunks": manifest.results.chunks,
        "model": manifest.spec.model_name,
        "fingerprint": manifest.fingerprint,
    }, None


@status_routes.get("/openapi.json")
def openapi() -> ResponseReturnValue:
    """Serve the description of this API."""
    return Response(get_openapi_json(), mimetype="application/json")


@lru_cache(maxsize=1)
def get_openapi_json() -> bytes:
    """Return the description as JSON, read once."""
    # Imported here: a bare server that is never asked for this page does not pay for a YAML parser.
    import yaml

    text = (Path(current_app.root_path) / "web" / "openapi.yaml").read_text(encoding="utf-8")
    # libyaml's parser takes 50 ms for it, the one in Python 380 ms, which is 4 s of a tenth of a CPU.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return json.dumps(yaml.load(text, Loader=loader), ensure_ascii=False).encode()  # noqa: S506
