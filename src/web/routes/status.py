"""The state of the server: `/health`, `/ready`, `/memory/…`, `/metrics`. None of them waits for a load or a chat."""

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from src import __version__
from src.artifacts import Manifest
from src.errors import ArtifactError
from src.records import MemoryMode
from src.web.access import admin_only, public
from src.web.error_handlers import without_folders
from src.web.memory_report import report_as_text, report_json, stats_json
from src.web.metrics import write_metrics
from src.web.services import get_services

status_routes = Blueprint("status", __name__)


@status_routes.get("/health")
@public
def health() -> ResponseReturnValue:
    """Say that the process lives, and how much memory it is charged."""
    memory = get_services().memory
    reading = memory.check_alerts()
    return jsonify(
        status="healthy" if memory.mode is MemoryMode.NORMAL else "degraded",
        memory_mb=round(reading.charged_mb, 1),
        memory_percent=round(reading.percent, 1),
        memory_limit_mb=round(reading.limit_mb),
        mode=memory.mode.value,
        version=__version__,
    )


@status_routes.get("/ready")
@public
def ready() -> ResponseReturnValue:
    """Say which services are loaded, and in words which one loads now, without loading any."""
    services = get_services()
    phase = services.readiness.phase
    index = services.peek_index()
    served, on_disk, error = index.manifest if index else None, None, None
    try:
        on_disk = services.read_manifest()
        if on_disk == served:  # whose fingerprint is known
            on_disk = served
    except ArtifactError as exc:
        error = str(exc)
    missing = next((state.words for state in services.states() if not state.is_loaded), None)
    return jsonify(
        ready=phase == "ready",
        phase=phase,
        loaded=services.loaded(),
        vectors_error=without_folders(services.vectors_problem() or "") or None,
        loading=missing if phase == "loading" else None,
        index=_index_json(served or on_disk),
        index_on_disk=_index_json(on_disk),
        error=without_folders(services.readiness.error or error or "") or None,
    )


def _index_json(manifest: Manifest | None) -> dict[str, object] | None:
    if manifest is None:
        return None
    return {
        "documents": len(manifest.spec.document_hashes),
        "chunks": manifest.results.chunks,
        "model": manifest.spec.model_name,
        "fingerprint": manifest.fingerprint,
    }


@status_routes.get("/memory/stats")
@public
def memory_stats() -> ResponseReturnValue:
    """Give the measures of now: charge, mode, processes, caches, counts."""
    return jsonify(stats_json(get_services()))


@status_routes.get("/memory/report")
@public
def memory_report() -> ResponseReturnValue:
    """Give the measures and their history; as text for a caller that prefers text to JSON."""
    report = report_json(get_services())
    if request.accept_mimetypes.best_match(["application/json", "text/plain"]) == "text/plain":
        return Response(report_as_text(report), mimetype="text/plain")
    return jsonify(report)


@status_routes.post("/memory/optimize")
@admin_only
def optimize_memory() -> ResponseReturnValue:
    """Drop the caches and give free memory back to the system."""
    services = get_services()
    before_mb = services.memory.read(is_fresh=True).charged_mb
    given_back_mb = services.memory.drop_caches()
    after_mb = services.memory.read(is_fresh=True).charged_mb
    return jsonify(
        charged_before_mb=round(before_mb, 1),
        charged_after_mb=round(after_mb, 1),
        given_back_mb=round(given_back_mb, 1),
    )


@status_routes.get("/metrics")
@public
def metrics() -> ResponseReturnValue:
    """Give the gauges and counters in Prometheus' text format."""
    body, content_type = write_metrics(get_services())
    return Response(body, content_type=content_type)
