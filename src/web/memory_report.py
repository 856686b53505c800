"""What the server holds, as JSON for programs and as text for people."""

import gc
from dataclasses import asdict
from typing import Any

from src.web.services import Services


def stats_json(services: Services) -> dict[str, Any]:
    """Give the measures of now. Megabytes are of 2**20 bytes, times are seconds since 1970."""
    memory = services.memory
    reading = memory.read()
    return {
        "charged_mb": round(reading.charged_mb, 1),
        "limit_mb": round(reading.limit_mb),
        "percent": round(reading.percent, 1),
        "source": reading.source,
        "mode": memory.mode.value,
        "processes": [_rounded(process) for process in memory.processes()],
        "caches": {"results": asdict(index.cache_stats())} if (index := services.peek_index()) else {},
        "counts": {
            **{f"chats_{answered_by}": number for answered_by, number in sorted(services.chat_counts.items())},
            **dict(sorted(memory.counts.items())),
        },
        "steps": [_rounded(step) for step in memory.steps],
        "mode_history": [_rounded(change) for change in memory.history],
    }


def report_json(services: Services) -> dict[str, Any]:
    """Give the measures of now, what is loaded, and how many objects Python's collector tracks in this process.

    What the master froze before its fork is hidden from `gc.get_objects`, and counted besides.
    """
    objects = len(gc.get_objects()) + gc.get_freeze_count()
    return {
        **stats_json(services),
        "phase": services.readiness.phase,
        "loaded": services.loaded(),
        "python_objects": objects,
    }


def report_as_text(report: dict[str, Any]) -> str:
    """Lay the report out for reading."""
    lines = [
        f"{report['charged_mb']} MB of {report['limit_mb']} MB ({report['percent']} %, {report['source']}), "
        f"mode {report['mode']}, services {report['phase']}, {report['python_objects']} Python objects",
        "",
        f"{'process':<10}{'pid':>8}{'RSS MB':>10}{'PSS MB':>10}{'VMS MB':>10}{'threads':>9}",
    ]
    lines += [
        f"{item['role']:<10}{item['pid']:>8}{item['rss_mb']:>10}{item['pss_mb'] or '-':>10}{item['vms_mb']:>10}"
        f"{item['threads']:>9}"
        for item in report["processes"]
    ]
    lines += ["", f"{'loaded':<20}{'MB':>8}{'given back':>12}{'seconds':>9}"]
    lines += [
        f"{step['step']:<20}{step['after_mb'] - step['before_mb']:>8.1f}{step['given_back_mb']:>12}{step['seconds']:>9}"
        for step in report["steps"]
    ]
    lines += ["", f"{'cache':<12}{'entries':>9}{'hits':>8}{'misses':>8}"]
    lines += [
        f"{name:<12}{cache['entries']:>9}{cache['hits']:>8}{cache['misses']:>8}"
        for name, cache in report["caches"].items()
    ]
    lines += ["", *(f"{name.replace('_', ' ')}: {number}" for name, number in report["counts"].items())]
    lines += [f"{item['before']} -> {item['after']} at {item['percent']} %" for item in report["mode_history"]]
    return "\n".join(lines).rstrip() + "\n"


def _rounded(record: Any) -> dict[str, Any]:
    return {name: round(value, 2) if isinstance(value, float) else value for name, value in asdict(record).items()}
