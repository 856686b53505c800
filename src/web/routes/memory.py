"""`/memory/stats`, `/memory/report`, `/memory/optimize` and `/metrics`: what the server holds, and giving it back."""

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from src.errors import RequestError
from src.web.memory_report import report_as_text, report_json, stats_json
from src.web.metrics import write_metrics
from src.web.security import require_token
from src.web.services import get_services

memory_routes = Blueprint("memory", __name__)


@memory_routes.get("/memory/stats")
def stats() -> ResponseReturnValue:
    """Give the figures of now: charge, mode, processes, caches, counts."""
    return jsonify(stats_json(get_services()))


@memory_routes.get("/memory/report")
def report() -> ResponseReturnValue:
    """Give the figures and how they came about; as text where text is preferred to JSON."""
    services = get_services()
    if request.accept_mimetypes.best_match(["application/json", "text/plain"]) == "text/plain":
        return Response(report_as_text(report_json(services)), mimetype="text/plain")
    return jsonify(report_json(services))


@memory_routes.post("/memory/optimize")
def optimize() -> ResponseReturnValue:
    """Drop the caches and give free memory back to the system."""
    services = get_services()
    if not services.config.admin_token:
        message = "This is off. Set ADMIN_TOKEN on the server and send it as a bearer token."
        raise RequestError(message, status=403, code="forbidden")
    require_token(services.config.admin_token)
    before_mb = services.memory.read(is_fresh=True).charged_mb
    services.drop_caches()
    given_back_mb = services.memory.trim()
    after_mb = services.memory.read(is_fresh=True).charged_mb
    return jsonify(
        charged_before_mb=round(before_mb, 1),
        charged_after_mb=round(after_mb, 1),
        given_back_mb=round(given_back_mb, 1),
    )


@memory_routes.get("/metrics")
def metrics() -> ResponseReturnValue:
    """Give the gauges and counters in Prometheus' text format."""
    body, content_type = write_metrics(get_services())
    return Response(body, content_type=content_type)
