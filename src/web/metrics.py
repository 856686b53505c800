"""Prometheus metrics, read from the services when they are asked for."""

from collections.abc import Iterator
from typing import Any

from src.records import MemoryMode
from src.web.services import Services


def write_metrics(services: Services) -> tuple[bytes, str]:
    """Give the metrics as text, and their content type."""
    # Imported here: it costs 1 MB, which only a server that is asked for metrics pays.
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

    return generate_latest(_Collector(services)), CONTENT_TYPE_LATEST


class _Collector:
    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterator[Any]:
        """Yield each family of metrics."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        memory = self._services.memory
        reading = memory.read()
        yield GaugeMetricFamily("rag_memory_charged_bytes", "What is charged", value=reading.charged_mb * 2**20)
        yield GaugeMetricFamily("rag_memory_limit_bytes", "What is allowed", value=reading.limit_mb * 2**20)
        mode = GaugeMetricFamily("rag_memory_mode", "1 for the mode of now", labels=["mode"])
        for one in MemoryMode:
            mode.add_metric([one.value], float(memory.mode is one))
        yield mode
        processes = GaugeMetricFamily("rag_process_resident_bytes", "RSS of each process", labels=["role", "pid"])
        for process in memory.processes():
            processes.add_metric([process.role, str(process.pid)], process.rss_mb * 2**20)
        yield processes
        is_ready = float(self._services.readiness.phase == "ready")
        yield GaugeMetricFamily("rag_ready", "1 when the services are loaded", value=is_ready)
        has_vectors = self._services.loaded().get("vector_store") and not self._services.vectors_problem()
        yield GaugeMetricFamily("rag_vectors_up", "1 when searches find the vectors", value=float(bool(has_vectors)))
        for name, text, label, counts in (
            ("rag_memory_events", "Mode changes, trims, refusals", "event", memory.counts),
            ("rag_chats", "Answered chats of this worker", "answered_by", self._services.chat_counts),
            ("rag_feedback", "Feedback on answers", "verdict", self._services.feedback_counts),
        ):
            counter = CounterMetricFamily(name, text, labels=[label])
            for value, number in sorted(counts.items()):
                counter.add_metric([value], number)
            yield counter
        yield from self._caches()

    def _caches(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        requests = CounterMetricFamily("rag_cache_requests", "Cache look-ups", labels=["cache", "result"])
        held = GaugeMetricFamily("rag_cache_entries", "Results that a cache holds", labels=["cache"])
        if index := self._services.peek_index():
            stats = index.cache_stats()
            requests.add_metric(["results", "hit"], stats.hits)
            requests.add_metric(["results", "miss"], stats.misses)
            held.add_metric(["results"], stats.entries)
        yield requests
        yield held
