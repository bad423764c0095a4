"""The Prometheus page: what the gateway counts itself, and the figures of every process as the supervisor has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from lanying.base.figures import Figure
from lanying.base.histogram import SECONDS
from lanying.supervisor.answers import ProcessStatus

COUNTERS: Final = {
    "messages": "What users send and what the server sends them by itself, by kind.",
    "logins": "Devices that logged in.",
    "logins_refused": "Logins refused, by status.",
    "deliveries": "Pushes to devices, one for each run of entries.",
    "refused": "Uploads refused, by status.",
    "failed_events": "Requests, frames and link messages the server failed on and took back.",
    "slow_reads": "Reads from one client whose frames kept a shard over 50 ms.",
    "slow_events": "What took a shard over 50 ms, by kind.",
    "commits": "Commits that were flushed.",
    "turns": "Turns of the event loop.",
    "requests": "REST requests.",
    "arrivals": "Connections the router took, by what became of them.",
    "tls": "Connections at the port for TLS, by what became of them.",
    "moved": "Messages that went to the cold store.",
    "pushes_sent": "Pushes a vendor took, by channel.",
    "pushes_gone": "Pushes to tokens the vendor says are dead, by channel.",
    "pushes_refused": "Pushes a vendor will never take, by channel.",
    "pushes_later": "Pushes a vendor did not take this time, by channel.",
    "pushes_unsent": "Pushes that were owed and not wanted any more.",
    "pushes_dropped": "Pushes given up because a shard owed too many.",
}
"""Any other figure that is not a histogram is a gauge."""
HISTOGRAMS: Final = {
    "commit_seconds": "From the end of a tick to its flush.",
    "tick_seconds": "Deciding and writing a tick.",
    "lag_seconds": "How late the event loop was.",
    "push_seconds": "A vendor's answer to a push.",
}
GAUGES: Final = {
    "sessions": "Devices logged in.",
    "link_depth": "Bundles of messages owed to another shard.",
    "disk_bytes": "Size of the database.",
    "cold_bytes": "Size of the cold store.",
    "memory_bytes": "Write buffers.",
    "cache_bytes": "Blocks of the database kept for reads, block_cache_mb at most.",
    "relayed": "Connections that the TLS process relays.",
    "handshakes": "TLS handshakes under way.",
    "disk_free_bytes": "Room left on the disk of the data and of the cold store, by place.",
    "newest_id_s": "When the newest message id was given out, by the clock of then, in seconds since 1970.",
    "min_free_bytes": "Messages are refused with less room than this.",
    "cold_missing": "1 while the cold store is not there.",
    "compacting": "1 while a database is rewritten.",
    "connections": "HTTP connections of the gateway.",
    "passwords_waiting": "Passwords that wait for their hash.",
    "waiting": "Connections that wait for their login.",
    "moving": "Connections on their way to a shard or the gateway.",
    "pushes_owed": "Pushes owed to the push process.",
    "pushes_waiting": "Pushes that wait for a vendor.",
    "up": "1 while the process is ready.",
    "restarts": "Starts after the first.",
}
LABELS: Final = {
    "messages": ("kind",),
    "refused": ("status",),
    "slow_events": ("what",),
    "logins_refused": ("status",),
    "arrivals": ("end",),
    "tls": ("event",),
    "link_depth": ("to",),
    "disk_free_bytes": ("place",),
    **dict.fromkeys(("pushes_sent", "pushes_gone", "pushes_refused", "pushes_later"), ("channel",)),
}
"""The labels of a metric besides ``process``; a figure without them is their total and left out."""


class ProcessCollector(Collector):
    """The figures of all processes, with the label ``process``.

    :param rows: the processes of a status, as the supervisor answers it; as last answered
    """

    def __init__(self, rows: Callable[[], Iterable[ProcessStatus]]) -> None:
        self._rows = rows

    def describe(self) -> Iterable[Metric]:
        """Nothing to ask at registration."""
        return []

    def collect(self) -> Iterator[Metric]:
        """One family per name."""
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        histograms: dict[str, HistogramMetricFamily] = {}
        for row in self._rows():
            process, figures = row.name, row.counted
            figures += [Figure("up", float(row.state == "ready")), Figure("restarts", float(row.restarts))]
            for one in figures:
                if one.name not in HISTOGRAMS and [*one.labels] == [*LABELS.get(one.name, ())]:
                    family = families.get(one.name) or families.setdefault(one.name, _family(one.name))
                    family.add_metric([process, *one.labels.values()], one.value)
            for name in dict.fromkeys(one.name for one in figures if one.name in HISTOGRAMS):
                known = histograms.get(name) or histograms.setdefault(name, _histogram(name))
                counts = [(one.labels["le"], one.value) for one in figures if one.name == name and one.labels]
                known.add_metric(
                    [process], counts, next(one.value for one in figures if one.name == name and not one.labels)
                )
        yield from families.values()
        yield from histograms.values()


def _family(name: str) -> CounterMetricFamily | GaugeMetricFamily:
    labels = ("process", *LABELS.get(name, ()))
    if name in COUNTERS:
        return CounterMetricFamily(f"lanying_{name}", COUNTERS[name], labels=labels)
    return GaugeMetricFamily(f"lanying_{name}", GAUGES.get(name, "See docs/configuration.md."), labels=labels)


def _histogram(name: str) -> HistogramMetricFamily:
    return HistogramMetricFamily(f"lanying_{name}", HISTOGRAMS[name], labels=("process",))


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
