"""Who watches an update: told of progress, offered checkpoints. Without torch, so that a mere listener starts fast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from raygp.update.state import Checkpoint


@dataclass(frozen=True)
class Step:
    """Where an epoch stands."""

    step: int
    steps: int
    loss: float
    examples_per_s: float


@dataclass(frozen=True)
class Progress:
    """A moment of an update, for whoever watches."""

    phase: int
    phases: int
    kind: str
    epoch: int
    """Epochs of the phase's round that are finished."""
    epochs: int
    density: float
    step: Step | None = None
    """Where the running epoch stands; None at its end."""
    val_accuracy: float | None = None
    """At the end of an epoch."""
    ledger: dict[str, float] | None = None
    """What the update has spent, at the end of an epoch."""
    notice: str = ""
    """A line for whoever watches, instead of the rest."""


class Observer(Protocol):
    """Watches an update; changes nothing in it."""

    def progress(self, progress: Progress) -> None:
        """Called every so many steps and at the end of each epoch, on every rank."""

    def checkpoint(self, make: Callable[[], Checkpoint]) -> None:
        """Called after every finished epoch, and inside long ones now and then, on every rank. ``make`` is cheap to
        pass and costs a copy to call."""

    def leaving(self) -> bool:
        """Called inside epochs about every second, on every rank after the same step: whether these workers are about
        to go. They are then offered a checkpoint at once. The same answer on every rank."""
        ...


class Silent:
    """An observer that does nothing."""

    def progress(self, progress: Progress) -> None:
        """Ignore it."""

    def checkpoint(self, make: Callable[[], Checkpoint]) -> None:
        """Ignore it."""

    def leaving(self) -> bool:
        """No."""
        return False
