"""Figures of the gateway itself, for Prometheus and for ``status``."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """One registry per gateway, so that two in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "lanying_rest_requests", "REST requests by path and REST code.", ("path", "code"), registry=self.registry
        )
        self.seconds = Histogram(
            "lanying_rest_seconds", "Time to answer a REST request.", ("path",), buckets=SECONDS, registry=self.registry
        )
        self.total = 0

    def count(self, path: str, code: int, seconds: float) -> None:
        """A request was answered. ``path`` is one of ours, never what a client made up."""
        self.total += 1
        self.requests.labels(path, str(code)).inc()
        self.seconds.labels(path).observe(seconds)
