"""Events of one update, and a line that they are about."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from raygp.events import EpochEnded, Event, PhaseEnded, PhaseStarted, Promoted, Refused, UpdateStarted
from raygp.record import CostLedger, EpochRecord, PhaseRecord
from raygp.store import Location
from raygp.tell import Told
from tests.conftest import new_card

LAYERS = {"conv.weight": 0.2, "fc.weight": 0.05}


@dataclass(frozen=True)
class Place:
    """A line, as far as a teller looks."""

    location: Location


def inside(phase: int, kind: str, epoch: int = 0) -> dict[str, Any]:
    return {"phase": phase, "phases": 2, "kind": kind, "round": 0, "epoch": epoch, "epochs": 2, "density": 0.1}


def epoch(phase: int, kind: str, number: int, examples: float) -> EpochEnded:
    record = EpochRecord(
        round=0, loss=1.0 / examples, val_accuracy=0.5 + examples / 1000, densities=LAYERS, grown=3, pruned=2,
        examples=examples, seconds=examples / 10,
    )  # fmt: skip
    ledger = CostLedger(examples=examples, worker_seconds=examples / 10)
    return EpochEnded(**inside(phase, kind, number), record=record, ledger=ledger)


def started(version: str = "v0001", **changes: Any) -> UpdateStarted:
    settings = {"lr": 0.1, "phases": [{"kind": "grow-new"}, {"kind": "prune-permanent"}], "fit": None}
    values = {"arrival": "tue", "parent": "v0000", "plan": "default", "update": f"{version}-ab12-tue"}
    return UpdateStarted(version=version, settings=settings, **(values | changes))


def card(version: str = "v0001") -> Any:
    ledger = {"examples": 300.0, "sparse_flops": 1.0, "dense_flops": 1.0, "worker_seconds": 30.0, "reduced_bytes": 0.0}
    return new_card(version, "v0000", "u1", arrival="tue", val_accuracy=0.8, test_accuracy=0.79, ledger=ledger,
                    test_metrics={"accuracy": 0.79})  # fmt: skip


BEGIN: list[Event] = [
    started(),
    PhaseStarted(**inside(0, "grow-new")),
    epoch(0, "grow-new", 1, 100.0),
    PhaseEnded(**inside(0, "grow-new", 1), record=PhaseRecord(kind="grow-new", epochs=1, grown=3, density_after=0.2)),
    PhaseStarted(**inside(1, "prune-permanent")),
    epoch(1, "prune-permanent", 1, 200.0),
]
"""An update that is not over."""
PHASE_OVER = PhaseEnded(**inside(1, "prune-permanent", 2), record=PhaseRecord(kind="prune-permanent", pruned=2))
PROMOTED = Promoted(card=card(), reason="within 0.2 points of its parent")
REFUSED = Refused(version="v0001", arrival="tue", reason="lost 3 points", head="v0000", record=card())


def told(event: Event, location: Location) -> Told:
    return Told(event, datetime.now(UTC), location)


def wait_until(true: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait for another thread."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.005)
