"""``otel``: traces and metrics for OpenTelemetry, over OTLP and HTTP."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

from raygp import __version__
from raygp.events import (
    AwaitsApproval,
    EpochEnded,
    Event,
    Failed,
    PhaseEnded,
    PhaseStarted,
    Promoted,
    Refused,
    TriedOut,
    UpdateStarted,
)
from raygp.record import CostLedger, UpdateRecord
from raygp.tasks.extras import require
from raygp.tell.base import NotTold, TellSettings, Told

_GAUGES = {
    "raygp.update.val_accuracy": ("1", "Validation accuracy at the end of the last epoch, 0 to 1."),
    "raygp.update.density": ("1", "Part of the connections that is active, 0 to 1."),
    "raygp.update.examples": ("{example}", "Examples that the update has spent."),
    "raygp.update.worker_seconds": ("s", "Workers times seconds that the update has spent."),
}
"""Metrics by name: unit, and what they say."""
_FLUSH_MS = 15_000


class OtelSettings(TellSettings):
    """OpenTelemetry over OTLP and HTTP: a span for each update with one for each of its phases inside, and metrics.
    Where they go is said by OpenTelemetry's own environment variables, such as OTEL_EXPORTER_OTLP_ENDPOINT,
    OTEL_EXPORTER_OTLP_HEADERS and OTEL_SERVICE_NAME (pip install 'raygp[otel]')."""

    kind: Literal["otel"] = "otel"

    @property
    def title(self) -> str:
        """What messages call it."""
        return "OpenTelemetry"

    def check(self) -> None:
        """Raises InputError if the packages are missing."""
        _exporter("trace_exporter", "OTLPSpanExporter")

    def make(self) -> Otel:
        """Connects lazily, as OpenTelemetry does."""
        spans = _exporter("trace_exporter", "OTLPSpanExporter")()
        metrics = _exporter("metric_exporter", "OTLPMetricExporter")()
        return Otel(spans, metrics)


def _exporter(module: str, name: str) -> Any:
    package = require(f"opentelemetry.exporter.otlp.proto.http.{module}", "otel", "otel")
    return getattr(package, name)


class Otel:
    """Makes spans and metrics from events: a :class:`raygp.tell.base.Teller`.

    Args:
        spans: OpenTelemetry's exporter of spans.
        metrics: its exporter of metrics.
    """

    def __init__(self, spans: Any, metrics: Any) -> None:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor

        # What fails is told as a Notice; the SDK would print it besides.
        logging.getLogger("opentelemetry").addHandler(logging.NullHandler())
        resource = Resource.create({"service.version": __version__})
        if str(resource.attributes.get("service.name", "unknown_service")).startswith("unknown_service"):
            resource = resource.merge(Resource({"service.name": "raygp"}))
        self._failures: list[str] = []
        # Its own providers, not the process's: whoever uses raygp as a library may have set those up.
        self._traces = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._traces.add_span_processor(SimpleSpanProcessor(_watched(spans, "spans", self._failures.append)))
        reader = PeriodicExportingMetricReader(_watched(metrics, "metrics", self._failures.append))
        self._metrics = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        self._tracer = self._traces.get_tracer("raygp", __version__)
        meter = self._metrics.get_meter("raygp", __version__)
        self._gauges = {name: meter.create_gauge(name, *about) for name, about in _GAUGES.items()}
        self._update: Any = None
        self._phase: Any = None
        self._tags: dict[str, str] = {}

    def tell(self, told: Told) -> None:
        """Begin or end a span, or set metrics.

        Raises:
            NotTold: something could not be sent.
        """
        self._take(told.event, told)
        self._raise_failures()

    def close(self) -> None:
        """Send what is left.

        Raises:
            NotTold: it could not be sent.
        """
        self._end("interrupted", {}, None)
        self._metrics.force_flush(_FLUSH_MS)
        for provider in (self._metrics, self._traces):
            provider.shutdown()
        self._raise_failures()

    def _take(self, event: Event, told: Told) -> None:
        if isinstance(event, TriedOut):
            self._tracer.start_span("raygp test", start_time=_ns(told.at)).end()
        elif isinstance(event, UpdateStarted):
            self._begin(event, told)
        elif self._update is None:
            return
        elif isinstance(event, PhaseStarted):
            self._begin_phase(event, told)
        elif isinstance(event, EpochEnded):
            self._set(_measured(event.record.val_accuracy, event.density, event.ledger))
        elif isinstance(event, PhaseEnded):
            self._end_phase(event, told)
        elif isinstance(event, Promoted):
            self._set(_numbers(event.card))
            self._end("promoted", {"raygp.reason": event.reason, **_numbers(event.card)}, told.at)
        elif isinstance(event, AwaitsApproval):
            self._set(_numbers(event.card))
            self._end("waiting", {"raygp.reason": event.reason, **_numbers(event.card)}, told.at)
        elif isinstance(event, Refused):
            measured = _numbers(event.record) if event.record else {}
            self._end("refused", {"raygp.reason": event.reason, **measured}, told.at)
        elif isinstance(event, Failed):
            self._end("failed", {"raygp.reason": event.error}, told.at, failed=True)

    def _begin(self, event: UpdateStarted, told: Told) -> None:
        self._end("interrupted", {}, told.at)
        self._tags = {"raygp.line": told.location.root, "raygp.version": event.version}
        attributes = {
            **self._tags,
            "raygp.update": event.update,
            "raygp.arrival": event.arrival,
            "raygp.parent": event.parent or "",
            "raygp.plan": event.plan,
        }
        self._update = self._tracer.start_span("raygp update", start_time=_ns(told.at), attributes=attributes)

    def _begin_phase(self, event: PhaseStarted, told: Told) -> None:
        from opentelemetry.trace import set_span_in_context

        if self._phase is not None:
            return  # Another round of the same phase.
        self._phase = self._tracer.start_span(
            f"phase {event.kind}",
            set_span_in_context(self._update),
            start_time=_ns(told.at),
            attributes={**self._tags, "raygp.phase": event.phase + 1, "raygp.phase.kind": event.kind},
        )

    def _end_phase(self, event: PhaseEnded, told: Told) -> None:
        if self._phase is None:
            return
        done = event.record
        self._phase.set_attributes(
            {
                "raygp.epochs": done.epochs, "raygp.grown": done.grown, "raygp.pruned": done.pruned,
                "raygp.density": done.density_after, "raygp.val_accuracy": done.val_accuracy,
                "raygp.stopped": done.stopped,
            }
        )  # fmt: skip
        self._phase.end(_ns(told.at))
        self._phase = None

    def _end(self, how: str, attributes: Mapping[str, Any], at: datetime | None, failed: bool = False) -> None:
        from opentelemetry.trace import StatusCode

        time_ns = _ns(at) if at else None
        if self._phase is not None:
            self._phase.end(time_ns)
        if self._update is not None:
            self._update.set_attributes({"raygp.outcome": how, **attributes})
            # A refusal is an answer, and no error.
            self._update.set_status(StatusCode.ERROR if failed else StatusCode.OK)
            self._update.end(time_ns)
        self._update = self._phase = None

    def _set(self, numbers: Mapping[str, float]) -> None:
        for name, number in numbers.items():
            self._gauges[name].set(number, self._tags)

    def _raise_failures(self) -> None:
        if self._failures:
            reason = self._failures[0]
            self._failures.clear()
            raise NotTold(reason)


def _numbers(record: UpdateRecord) -> dict[str, float]:
    """The metrics' values for an update that is over."""
    return _measured(record.val_accuracy, record.density, record.ledger)


def _measured(val_accuracy: float, density: float, ledger: CostLedger) -> dict[str, float]:
    return dict(zip(_GAUGES, (val_accuracy, density, ledger.examples, ledger.worker_seconds), strict=True))


def _ns(at: datetime) -> int:
    return int(at.timestamp() * 1e9)


def _watched(exporter: Any, what: str, failed: Callable[[str], None]) -> Any:
    """The exporter, whose failures are told; OpenTelemetry itself only logs them."""
    export = exporter.export

    def watched(*args: Any, **kwargs: Any) -> Any:
        try:
            result = export(*args, **kwargs)
        except Exception as error:
            failed(f"{what} could not be sent: {error}")
            raise
        if result.name != "SUCCESS":
            failed(f"{what} could not be sent: look at OTEL_EXPORTER_OTLP_ENDPOINT, and whether it answers")
        return result

    exporter.export = watched
    return exporter
