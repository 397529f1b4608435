"""What both pruning phases have in common: one-shot rounds of cut and training, and how a round is judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from raygp.update.fields import Density, PruningRatio, Share
from raygp.update.phases.base import Next, Phase, Running

if TYPE_CHECKING:
    from raygp.update.plan import Plan


class Prune(Phase):
    """Remove the weakest connections, and train."""

    density: Density | None = None
    """Density of the whole model at which the phase ends. None: the plan's."""
    gradual: bool = False
    """Spread the removal over the phase's steps (cubic schedule) instead of one cut before training."""
    start: Share = 0.1
    """Gradual: part of the phase's steps before the first removal."""
    end: Share = 0.7
    """Gradual: part of the phase's steps after which the density is reached."""
    removals: Annotated[int, Field(ge=1)] = 20
    """Gradual: how many removals the way down is made of."""
    beta: PruningRatio | None = None
    """Pruning ratio: part of the active connections that one round removes. None: the plan's."""
    rounds: Annotated[int, Field(ge=1)] = 1
    """At most so many rounds of cut and training (not gradual). Halved attempts count."""
    beta_floor: PruningRatio = 0.02
    """Recoverable: give up when the halved pruning ratio falls under this."""
    tolerance: Share | None = None
    """How far validation accuracy may fall in a round, as a fraction (0.002 = 0.2 points). None: the plan's."""

    @model_validator(mode="after")
    def _gradual_makes_sense(self) -> Prune:
        if self.gradual and self.start >= self.end:
            raise ValueError(f"gradual pruning must start before it ends (start {self.start}, end {self.end})")
        return self

    def enter(self, update: Running) -> None:
        """Cut: ``beta`` of the active connections, but never below the phase's density."""
        cursor = update.cursor
        if cursor.round == 0:
            cursor.beta = self.beta or update.plan.beta
        update.prune(max(self.goal(update.plan), update.density * (1.0 - cursor.beta)))

    def leave(self, update: Running) -> Next:
        """Judge the round."""
        reason = self.verdict(update)
        follows = Next.ROUND if reason == "" else Next.PHASE
        if reason and reason != _REACHED:
            update.phase_record.stopped = reason
        return follows

    def verdict(self, update: Running) -> str:
        """Why no further round follows; empty if one does."""
        raise NotImplementedError

    def goal(self, plan: Plan) -> float:
        """Density at which the phase ends."""
        return self.density or plan.density

    def held(self, update: Running) -> bool:
        """Whether validation accuracy is within tolerance of what it was when the phase began."""
        tolerance = update.plan.tolerance if self.tolerance is None else self.tolerance
        return update.val_accuracy >= update.cursor.reference - tolerance - 1e-12

    def kept_round(self, update: Running) -> str:
        """Why no further round follows one that held; empty if one does."""
        if update.density <= self.goal(update.plan) + 1.0 / update.total_connections:
            return _REACHED
        return "no rounds left" if update.cursor.round >= self.rounds else ""

    @property
    def most_rounds(self) -> int:
        """Its rounds; a gradual pruning is one."""
        return 1 if self.gradual else self.rounds


_REACHED = "density reached"
