"""Pruning that is taken back where it costs accuracy."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from raygp.update.phases.base import Running
from raygp.update.phases.prune import Prune


class PruneRecoverable(Prune):
    """``prune-recoverable``: rounds that are kept if accuracy holds, and else undone and tried with half the ratio."""

    kind: Literal["prune-recoverable"] = "prune-recoverable"

    @model_validator(mode="after")
    def _is_not_gradual(self) -> PruneRecoverable:
        if self.gradual:
            raise ValueError("gradual pruning is permanent: use kind: prune-permanent, or gradual: false")
        return self

    def enter(self, update: Running) -> None:
        """Put everything aside, then cut."""
        update.keep_snapshot()
        super().enter(update)

    def verdict(self, update: Running) -> str:
        """A round within tolerance of the reference is kept. Else everything is put back as it was and the pruning
        ratio halved, until it falls under its floor."""
        cursor, record = update.cursor, update.phase_record
        if self.held(update):
            update.drop_snapshot()
            return self.kept_round(update)
        update.restore_snapshot()
        record.restored += cursor.pruned_in_round
        record.pruned -= cursor.pruned_in_round
        cursor.beta /= 2
        if cursor.beta < self.beta_floor:
            return "restored, pruning ratio at its floor"
        if cursor.round >= self.rounds:
            return "restored, no rounds left"
        return ""
