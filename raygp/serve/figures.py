"""What a server counts, and how Prometheus is told."""

from __future__ import annotations

import bisect
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from raygp.serve.follower import Standing

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds of the histogram of latencies, in seconds."""


@dataclass
class Figures:
    """Counts of one replica since it started. Plain data, so that one replica can ask the others."""

    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    """By route and status."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Sum of latencies, by route."""
    buckets: dict[str, list[int]] = field(default_factory=dict)
    """By route, requests in each of :data:`BUCKETS_S` and beyond; not cumulative."""
    samples: int = 0
    """Samples that were answered."""
    waiting: int = 0
    """Samples that wait."""
    open: int = 0
    """Requests that have come and are not answered yet."""
    standing: Standing = field(default_factory=Standing)

    def count(self, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self.requests[route, status] += 1
        self.seconds[route] = self.seconds.get(route, 0.0) + seconds
        buckets = self.buckets.setdefault(route, [0] * (len(BUCKETS_S) + 1))
        buckets[bisect.bisect_left(BUCKETS_S, seconds)] += 1

    def now(self, standing: Standing, waiting: int, open_requests: int) -> Figures:
        """These counts, with what only the moment knows."""
        return replace(self, standing=standing, waiting=waiting, open=open_requests)


def exposition(replicas: Mapping[str, Figures]) -> bytes:
    """All replicas' figures in Prometheus' text format; each series is labelled with its replica."""
    from prometheus_client import CollectorRegistry, generate_latest

    class Collector:
        def collect(self) -> Iterator[Metric]:
            return _metrics(replicas)

    registry = CollectorRegistry()
    registry.register(Collector())
    return generate_latest(registry)


def _metrics(replicas: Mapping[str, Figures]) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    by_route = ["replica", "route"]
    requests = CounterMetricFamily(
        "raygp_serve_requests", "Requests answered or refused.", labels=[*by_route, "status"]
    )
    seconds = HistogramMetricFamily(
        "raygp_serve_request_seconds", "From a request's head to its answer, inside the replica.", labels=by_route
    )
    for replica, figures in replicas.items():
        for (route, status), number in figures.requests.items():
            requests.add_metric([replica, route, str(status)], number)
        for route, buckets in figures.buckets.items():
            seconds.add_metric([replica, route], _cumulative(buckets), sum_value=figures.seconds[route])
    yield from (requests, seconds)
    for name, text, values in (
        ("samples", "Samples answered.", {r: f.samples for r, f in replicas.items()}),
        ("switches", "Versions that took over from another.", {r: f.standing.switches for r, f in replicas.items()}),
        ("failures", "Attempts to take a version over that failed.",
         {r: f.standing.failures for r, f in replicas.items()}),
    ):  # fmt: skip
        counter = CounterMetricFamily(f"raygp_serve_{name}", text, labels=["replica"])
        for replica, value in values.items():
            counter.add_metric([replica], value)
        yield counter
    waiting = GaugeMetricFamily("raygp_serve_samples_waiting", "Samples that wait now.", labels=["replica"])
    version = GaugeMetricFamily("raygp_serve_version", "1 for the version that answers.", labels=["replica", "version"])
    age = GaugeMetricFamily("raygp_serve_version_seconds", "Since the version took over.", labels=["replica"])
    for replica, figures in replicas.items():
        waiting.add_metric([replica], figures.waiting)
        if figures.standing.version is not None:
            version.add_metric([replica, figures.standing.version], 1)
            age.add_metric([replica], time.time() - figures.standing.since)
    yield from (waiting, version, age)


def _cumulative(buckets: list[int]) -> list[tuple[str, float]]:
    bounds = [*map(str, BUCKETS_S), "+Inf"]
    return [(bound, float(sum(buckets[: place + 1]))) for place, bound in enumerate(bounds)]
