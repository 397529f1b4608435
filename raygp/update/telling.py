"""How far the parts of an update have come, as its listeners are told it. Nothing in here changes what is trained."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raygp.events import Listener, PlannedPhase, PlanStarted, Working

if TYPE_CHECKING:
    from raygp.update.examples import ExampleChoice
    from raygp.update.learner import Learner
    from raygp.update.plan import Plan

_PACE_S = 0.5


@dataclass(frozen=True)
class EpochSteps:
    """How far an epoch has come."""

    step: int
    steps: int
    loss: float
    """Mean over the epoch so far on this rank."""
    examples_per_s: float
    """All ranks together."""


class HowFar:
    """Tells by :class:`raygp.events.Working` how far something has come: nothing within its first half second, so that
    what is over at once is not told, and then twice a second at most."""

    def __init__(self, tell: Listener, what: str, total: int) -> None:
        """Nothing is done yet.

        Args:
            tell: told of it.
            what: in words.
            total: how much there is; 0 where nobody knows.
        """
        self._tell, self._what, self._total = tell, what, total
        self._done, self._told = 0, time.monotonic()

    def add(self, count: int) -> None:
        """So much more is done."""
        self._done += count
        if (now := time.monotonic()) - self._told >= _PACE_S:
            self._told = now
            done = min(self._done, self._total) if self._total else self._done
            self._tell(Working(what=self._what, done=done, total=self._total))


def plan_started(plan: Plan, examples: ExampleChoice, learner: Learner) -> PlanStarted:
    """What is going to be done, before any of it is.

    Args:
        plan: fitted to the arrival.
        examples: which ones its phases see.
        learner: that trains.
    """
    return PlanStarted(
        phases=tuple(
            PlannedPhase(phase.kind, plan.epochs_of(phase), phase.most_rounds, learner.steps(examples.count(phase)))
            for phase in plan.phases
        )
    )
