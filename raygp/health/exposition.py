"""A line's health in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from raygp.health.figures import Health

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

METRICS: dict[str, tuple[str, tuple[str, ...]]] = {
    "raygp_line_head_timestamp_seconds": ("When the head became the head, seconds since 1970.", ("version",)),
    "raygp_line_validation_accuracy": ("The head's, 0 to 1 (or what the line measures in place of it).", ()),
    "raygp_line_density": ("Part of the head's connections that is active, 0 to 1.", ()),
    "raygp_line_versions": ("Versions in storage.", ()),
    "raygp_line_arrivals_seen": ("Arrivals that the head has seen.", ()),
    "raygp_line_arrivals_waiting": ("Arrivals that it has not seen.", ()),
    "raygp_line_arrivals_left": ("Those of them that watchers leave alone.", ()),
    "raygp_line_rows_waiting": ("Training rows of the arrivals that wait.", ()),
    "raygp_line_oldest_waiting_timestamp_seconds": (
        "When the arrival that waits longest was published, seconds since 1970.", (),
    ),
    "raygp_line_last_refusal_timestamp_seconds": (
        "When the gate last refused a candidate, seconds since 1970.", ("version", "arrival", "reason"),
    ),
    "raygp_line_refusals_week": ("Candidates that the gate refused in the last seven days.", ()),
    "raygp_line_examples_week": ("Examples that updates have spent that ended in the last seven days.", ()),
    "raygp_line_worker_hours_week": ("Worker-hours that they have spent.", ()),
    "raygp_line_looked_timestamp_seconds": ("When the line was looked at, seconds since 1970.", ()),
}  # fmt: skip
"""By name: what it says, and the labels that it has beside ``line``, the line's root. All are gauges."""


def exposition(health: Health) -> bytes:
    """The health of a line in Prometheus' text format. What is not known, such as a head, is left out."""
    from prometheus_client import CollectorRegistry, generate_latest

    class Collector:
        def collect(self) -> Iterator[Metric]:
            return _metrics(health)

    registry = CollectorRegistry()
    registry.register(Collector())
    return generate_latest(registry)


def _metrics(health: Health) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    for name, (value, labels) in _values(health).items():
        about, names = METRICS[name]
        family = GaugeMetricFamily(name, about, labels=["line", *names])
        if value is not None:
            family.add_metric([health.line, *labels], value)
        yield family


def _values(health: Health) -> dict[str, tuple[float | None, tuple[str, ...]]]:
    """By name: the value, and what its labels say."""
    refusal = health.last_refusal
    refused = (refusal.version, refusal.arrival, refusal.reason) if refusal else ()
    return {
        "raygp_line_head_timestamp_seconds": (health.head_since, (health.version or "",)),
        "raygp_line_validation_accuracy": (health.val_accuracy, ()),
        "raygp_line_density": (health.density, ()),
        "raygp_line_versions": (health.versions, ()),
        "raygp_line_arrivals_seen": (health.seen, ()),
        "raygp_line_arrivals_waiting": (health.waiting, ()),
        "raygp_line_arrivals_left": (health.left, ()),
        "raygp_line_rows_waiting": (health.rows_waiting, ()),
        "raygp_line_oldest_waiting_timestamp_seconds": (health.oldest_waiting, ()),
        "raygp_line_last_refusal_timestamp_seconds": (refusal.at if refusal else None, refused),
        "raygp_line_refusals_week": (health.refusals_week, ()),
        "raygp_line_examples_week": (health.examples_week, ()),
        "raygp_line_worker_hours_week": (health.worker_hours_week, ()),
        "raygp_line_looked_timestamp_seconds": (health.at, ()),
    }
