"""What TensorBoard, MLflow and Weights & Biases have in common: a run for each update, which gets numbers by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from raygp.events import AwaitsApproval, EpochEnded, Failed, Promoted, Refused, TrialEnded, TriedOut, UpdateStarted
from raygp.record import UpdateRecord
from raygp.store import Card
from raygp.tell.base import Told


@dataclass(frozen=True)
class End:
    """How an update ended."""

    how: str
    """promoted, waiting (for approval), refused, failed or interrupted."""
    reason: str
    values: Mapping[str, float]
    """What it came to, by name."""
    at: datetime | None
    """None: now."""
    card: Card | None = None
    """Of the version that it made, if it did."""


class Run(Protocol):
    """A run of a tracker."""

    def log(self, values: Mapping[str, float], step: int, at: datetime) -> None:
        """Numbers at a step: the examples that the update has spent by then, so that it rises over phases, plans of
        the ladder and interruptions."""
        ...

    def end(self, end: End) -> None:
        """Nothing follows."""
        ...


class Tracking:
    """Makes a tracker's runs from events: a :class:`raygp.tell.base.Teller`.

    Args:
        open_run: begins the run of an update, or goes on with it.
        try_out: makes sure that the tracker is there, for ``raygp tell --test``.
    """

    def __init__(self, open_run: Callable[[Told, UpdateStarted], Run], try_out: Callable[[Told], None]) -> None:
        self._open, self._try_out = open_run, try_out
        self._run: Run | None = None

    def tell(self, told: Told) -> None:
        """Do what the event asks for; most ask for nothing."""
        event, run = told.event, self._run
        if isinstance(event, TriedOut):
            self._try_out(told)
        elif isinstance(event, UpdateStarted):
            self._end(End("interrupted", "", {}, told.at))
            self._run = self._open(told, event)
        elif run is None:
            return
        elif isinstance(event, EpochEnded):
            run.log(epoch_values(event), int(event.ledger.examples), told.at)
        elif isinstance(event, TrialEnded):
            values = {"trial/val_accuracy": event.val_accuracy, "trial/examples": event.examples}
            run.log(values, event.number, told.at)
        elif isinstance(event, Promoted):
            self._end(End("promoted", event.reason, final_values(event.card), told.at, event.card))
        elif isinstance(event, AwaitsApproval):
            self._end(End("waiting", event.reason, final_values(event.card), told.at, event.card))
        elif isinstance(event, Refused):
            values = final_values(event.record) if event.record else {}
            self._end(End("refused", event.reason, values, told.at))
        elif isinstance(event, Failed):
            self._end(End("failed", event.error, {}, told.at))

    def close(self) -> None:
        """A run that is open was interrupted."""
        self._end(End("interrupted", "", {}, None))

    def _end(self, end: End) -> None:
        run, self._run = self._run, None
        if run is not None:
            run.end(end)


def epoch_values(event: EpochEnded) -> dict[str, float]:
    """What an epoch measured, by name."""
    record = event.record
    values: dict[str, float | None] = {
        "loss": record.loss,
        "val_accuracy": record.val_accuracy,
        "known_accuracy": record.known_accuracy,
        "density": event.density,
        "grown": record.grown,
        "pruned": record.pruned,
        "examples": event.ledger.examples,
        "worker_seconds": event.ledger.worker_seconds,
        "phase": event.phase + 1,
        **{f"density/{layer}": density for layer, density in record.densities.items()},
    }
    return {name: float(value) for name, value in values.items() if value is not None}


def final_values(record: UpdateRecord) -> dict[str, float]:
    """What an update came to, by name."""
    values: dict[str, float | None] = {
        "final/val_accuracy": record.val_accuracy,
        "final/parent_val_accuracy": record.parent_val_accuracy,
        "final/test_accuracy": record.test_accuracy,
        "final/density": record.density,
        "final/active_connections": record.active_connections,
        "final/examples": record.ledger.examples,
        "final/worker_seconds": record.ledger.worker_seconds,
        **{f"final/test/{name}": value for name, value in record.test_metrics.items()},
    }
    return {name: float(value) for name, value in values.items() if value is not None}


def flat(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings by dotted name: ``phases.0.kind``."""
    return dict(_flat(settings, ""))


def _flat(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        parts = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list | tuple) and value:
        parts = [(str(place), item) for place, item in enumerate(value)]
    else:
        yield path, "null" if value is None else str(value)
        return
    for name, item in parts:
        yield from _flat(item, f"{path}.{name}" if path else name)


def run_name(event: UpdateStarted) -> str:
    """What a run is called: the update's id, which has version and arrival in it."""
    return event.update or f"{event.version}-{event.arrival}"


def line_name(told: Told) -> str:
    """The last part of the line's root, for experiments and projects."""
    return told.location.root.rstrip("/").split("/")[-1] or "line"
