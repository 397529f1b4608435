"""Pruning for good."""

from __future__ import annotations

import math
from typing import Literal

from raygp.update.phases.base import Next, Running
from raygp.update.phases.prune import Prune


class PrunePermanent(Prune):
    """``prune-permanent``: rounds whose values are gone, or a gradual removal inside one learning-rate cycle."""

    kind: Literal["prune-permanent"] = "prune-permanent"

    def enter(self, update: Running) -> None:
        """Cut, unless the removal is spread over the steps."""
        if not self.gradual:
            super().enter(update)

    def before_step(self, update: Running, done: float) -> None:
        """Gradual: the next removal, if it is due."""
        if self.gradual:
            self._remove(update, (done - self.start) / (self.end - self.start))

    def after_epoch(self, update: Running, done: float) -> None:
        """Gradual: what few steps in an epoch have left to remove."""
        if self.gradual and done >= self.end:
            self._remove(update, 1.0)

    def leave(self, update: Running) -> Next:
        """A gradual pruning is over after its steps; rounds are judged."""
        return Next.PHASE if self.gradual else super().leave(update)

    def verdict(self, update: Running) -> str:
        """The values are gone, so a round below the accuracy floor ends the phase."""
        return self.kept_round(update) if self.held(update) else "accuracy floor not held"

    def _remove(self, update: Running, progress: float) -> None:
        """Bring the model to the density of ``progress``, the part of the way down, if a removal is due."""
        from raygp.sparse.pruning import cubic_density

        cursor, goal = update.cursor, self.goal(update.plan)
        due = math.floor(min(max(progress, 0.0), 1.0) * self.removals + 1e-9)
        if due > cursor.removals:
            cursor.removals = due
            update.prune(cubic_density(max(goal, cursor.start_density), goal, due / self.removals))
