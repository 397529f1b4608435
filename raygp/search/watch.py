"""What is known of a sweep while its trials run: what they have spent, which have ended, whether a budget is spent."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from raygp.events import BudgetSpent, Listener, TrialEnded, unheard
from raygp.search.space import Point


@dataclass
class SweepWatch:
    """Follows a sweep and tells its listener. Whoever runs the trials calls it; it runs nothing itself."""

    version: str = ""
    """What the candidate will be called."""
    trials: int = 0
    """Trials there will be."""
    tell: Listener = unheard
    spent: dict[str, float] = field(default_factory=dict)
    """Examples by trial, and of the work that trials share."""
    max_examples: float | None = None
    max_hours: float | None = None
    started: float = field(default_factory=time.monotonic)
    unfinished: bool = True
    """Whether trials still run or are to come."""
    budget_spent: bool = False

    @property
    def interrupted(self) -> bool:
        """Whether the trials ended before all were done although no budget is spent. Ctrl-C does that: Tune catches the
        first one and returns as if the sweep were over."""
        return self.unfinished and not self.budget_spent

    @property
    def seconds(self) -> float:
        """Since this process began the sweep, or went on with it."""
        return time.monotonic() - self.started

    def over_budget(self) -> str:
        """Which budget is spent, such as "2 hours"; empty if none is."""
        if self.max_hours is not None and self.seconds >= 3600.0 * self.max_hours:
            return f"{self.max_hours:g} hours"
        if self.max_examples is not None and sum(self.spent.values()) >= self.max_examples:
            return f"{self.max_examples:,.0f} examples"
        return ""

    def must_end(self) -> bool:
        """Whether a budget is spent, so that all trials have to stop. The listener is told once."""
        budget = self.over_budget()
        if budget and not self.budget_spent:
            self.budget_spent = True
            self.tell(BudgetSpent(version=self.version, budget=budget))
        return self.budget_spent

    def charge(self, trial: str, metrics: Mapping[str, Any]) -> None:
        """A trial has reported: what it has spent so far."""
        self.spent[trial] = examples_in(metrics)

    def ended(self, point: Point, number: int, metrics: Mapping[str, Any], crashed: bool = False) -> bool:
        """A trial has ended; the listener is told.

        Args:
            point: of the trial.
            number: trials that have ended, this one included.
            metrics: what it reported last (see :func:`raygp.search.choice.read_trial`); empty if it never did.
            crashed: whether its process ended with an exception, and is not tried again.

        Returns:
            Whether it was stopped before its end.
        """
        failed, finished = crashed or "failed" in metrics, bool(metrics.get("finished"))
        state = "failed" if failed else "finished" if finished else "stopped"
        self._told(point, number, state, metrics, str(metrics.get("failed", "")))
        return state == "stopped"

    def lost(self, point: Point, number: int, metrics: Mapping[str, Any]) -> None:
        """A trial's process or node is gone, and the trial is tried again from its last checkpoint.

        Args:
            point: of the trial.
            number: trials that have ended.
            metrics: what it reported last.
        """
        self._told(point, number, "lost", metrics)

    def _told(self, point: Point, number: int, state: str, metrics: Mapping[str, Any], error: str = "") -> None:
        self.tell(
            TrialEnded(
                version=self.version,
                number=number,
                trials=self.trials,
                point=point,
                state=state,
                epochs=int(metrics.get("epochs", 0)),
                val_accuracy=float(metrics.get("val_accuracy", 0.0)),
                active_connections=int(metrics["active_connections"]) if state == "finished" else None,
                examples=examples_in(metrics),
                error=error,
            )
        )


def examples_in(metrics: Mapping[str, Any]) -> float:
    """What a trial has spent in examples, from what it reported last; 0 if it has reported nothing."""
    return float(metrics.get("ledger", {}).get("examples", 0.0))
