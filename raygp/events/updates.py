"""What is told inside an update."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from raygp.events.base import Event
from raygp.record import CostLedger, EpochRecord, PhaseRecord


@dataclass(frozen=True, kw_only=True)
class Notice(Event):
    """A line of text for people."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Working(Event):
    """What an update is busy with outside its training steps. Told when it begins if it is known to take long, and now
    and then while it goes on."""

    what: str
    """In words, such as "decoding rows"."""
    done: int = 0
    """How much of it is done."""
    total: int = 0
    """How much there is; 0 where nobody knows."""


@dataclass(frozen=True, kw_only=True)
class StopAsked(Event):
    """A signal has asked the update to end: it does so after its next checkpoint. A second signal ends it at once."""

    signal: str = "SIGTERM"
    """Its name; Ctrl-C is SIGINT."""


@dataclass(frozen=True)
class PlannedPhase:
    """What a phase of a plan is going to do."""

    kind: str
    epochs: int
    """Training epochs of a round."""
    rounds: int
    """How many rounds it has at most."""
    steps: int
    """Training steps of an epoch."""


@dataclass(frozen=True, kw_only=True)
class PlanStarted(Event):
    """A plan is carried out from here on, fitted to the arrival. A safer one that follows it is told again."""

    phases: tuple[PlannedPhase, ...]


@dataclass(frozen=True, kw_only=True)
class RungStarted(Event):
    """A plan was fitted to the arrival; or the plan before did not hold or was passed over, and a safer one starts from
    the same parent."""

    rung: int
    """Position on the ladder, from 0."""
    rungs: int
    name: str
    changes: Mapping[str, Any]
    """Settings in which the plan differs from the one that was asked for, by dotted name."""
    because: str
    """What became of the rung before; of the first one, what is unusual about the arrival; empty if nothing is."""


@dataclass(frozen=True, kw_only=True)
class InPhase(Event):
    """Something inside a phase of an update."""

    phase: int
    """Position in the plan, from 0."""
    phases: int
    kind: str
    round: int
    """Rounds of the phase that are finished."""
    epoch: int
    """Epochs of the round that are finished."""
    epochs: int
    """Epochs that the round has."""
    density: float
    """Of the whole model, now."""


@dataclass(frozen=True, kw_only=True)
class Resumed(InPhase):
    """An update goes on from a checkpoint, at this place."""

    step: int
    """Steps of the running epoch that are finished."""


@dataclass(frozen=True, kw_only=True)
class PhaseStarted(InPhase):
    """A round of a phase has grown or cut, and trains next."""

    densities: Mapping[str, float] = field(default_factory=dict)
    """By layer: the part of its connections that is active."""


@dataclass(frozen=True, kw_only=True)
class StepsDone(InPhase):
    """An epoch has come so far."""

    step: int
    steps: int
    loss: float
    """Training loss, mean over the epoch so far on rank 0."""
    examples_per_s: float
    """All workers together."""


@dataclass(frozen=True, kw_only=True)
class EpochEnded(InPhase):
    """An epoch is over and has been evaluated."""

    record: EpochRecord
    ledger: CostLedger
    """What the update has spent."""


@dataclass(frozen=True, kw_only=True)
class PhaseEnded(InPhase):
    """A phase is over."""

    record: PhaseRecord


@dataclass(frozen=True, kw_only=True)
class CheckpointStored(Event):
    """The update can go on from here if it is interrupted."""

    epochs: int
    """Epochs of the update that are finished."""
