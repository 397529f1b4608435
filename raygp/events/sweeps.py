"""What is told of a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from raygp.events.base import Event


@dataclass(frozen=True, kw_only=True)
class SweepStarted(Event):
    """Trials of plans are about to run."""

    version: str
    trials: int


@dataclass(frozen=True, kw_only=True)
class WorkShared(Event):
    """What all trials have in common was computed once."""

    version: str
    examples: float
    """What that cost."""
    saved: float
    """What it saves at most."""
    trials: int


@dataclass(frozen=True, kw_only=True)
class TrialEnded(Event):
    """A trial finished, was stopped, failed, or was lost and is tried again."""

    version: str
    number: int
    """Trials that have ended, this one included."""
    trials: int
    """Trials there will be."""
    point: Mapping[str, Any]
    state: str
    """finished, stopped, failed or lost."""
    epochs: int = 0
    val_accuracy: float = 0.0
    active_connections: int | None = None
    examples: float = 0.0
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class BudgetSpent(Event):
    """A sweep ends because a budget of its settings is spent."""

    version: str
    budget: str
    """Such as "2 hours" or "1,000 examples"."""
