"""What an update came to: the candidate is measured and judged, at its end or where a phase has ruined it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raygp.record import PhaseRecord, RunningRecord, UpdateRecord
from raygp.sparse import pack_model
from raygp.update.gate import Verdict, collapsed, judge, val_noise
from raygp.update.learner import Learner, metric_values
from raygp.update.outcome import Outcome
from raygp.update.phases import Phase
from raygp.update.plan import Plan
from raygp.update.state import Cursor


@dataclass
class Judge:
    """Compares a candidate with its parent."""

    learner: Learner
    has_parent: bool
    tolerance: float
    """How far the candidate's validation accuracy may lie below its parent's, as a fraction."""
    confidence: float
    """Of the allowance for a small validation split (:func:`raygp.update.gate.val_noise`)."""
    parent_scores: np.ndarray | None = None
    """The parent's on validation, once they are known: rows x metrics x 2 (:meth:`Learner.scores`)."""

    @property
    def parent_val_accuracy(self) -> float | None:
        """The parent's accuracy on validation; None if there is none, or it is not measured yet."""
        return None if self.parent_scores is None else metric_values(self.parent_scores)[0]

    def ruined_by(self, plan: Plan, phase: Phase, cursor: Cursor, phases: list[PhaseRecord]) -> Verdict | None:
        """The refusal of a candidate that a finished phase has ruined: the phases after it would be wasted.

        Args:
            plan: of the update.
            phase: the last one that ran.
            cursor: behind it.
            phases: records of those that ran.
        """
        record = phases[-1]
        # Training on the arrival alone may forget the rest, which replay brings back.
        if cursor.round > 0 or record.epochs == 0 or phase.on_arrival_alone:
            return None
        best = max(self.parent_val_accuracy or 0.0, cursor.best, *(earlier.val_accuracy for earlier in phases[:-1]))
        if not collapsed(record.val_accuracy, best, lambda: self.learner.guessing("val")):
            return None
        advice = "try a lower plan.lr, or plan.clip_norm=1"
        if self.has_parent and plan.shrink < 1.0:
            advice += f"; the parent was shrunk to {plan.shrink:g}: more plan.epochs, or plan.shrink=1"
        return Verdict(
            False,
            f"rejected: phase {cursor.phase} of {len(plan.phases)} ({record.kind}) diverged, "
            f"validation {record.val_accuracy:.2%} after {best:.2%}: {advice}",
        )

    def outcome(self, running: RunningRecord, refusal: Verdict | None = None) -> Outcome:
        """Measure the candidate and judge it; it is looked at on the test split only if it passes.

        Args:
            running: what the update has done.
            refusal: the verdict, if it has been given already.
        """
        learner, masks = self.learner, self.learner.masks
        scores = learner.scores("val")
        val_accuracy, noise = metric_values(scores)[0], None
        if self.parent_scores is not None:
            noise = val_noise(scores[:, 0], self.parent_scores[:, 0], self.confidence)
        guessing = 0.0 if self.has_parent else learner.guessing("val")
        verdict = refusal or judge(val_accuracy, self.parent_val_accuracy, self.tolerance, guessing, noise or 0.0)
        has_test = any(rows.stop > rows.start for rows in learner.data.groups("test").values())
        test = learner.metrics("test") if verdict.promoted and has_test else {}
        record = UpdateRecord(
            phases=running.phases,
            ledger=learner.ledger,
            val_accuracy=val_accuracy,
            mask_digest=masks.digest(),
            density=masks.density,
            active_connections=masks.active,
            total_connections=masks.total,
            densities=masks.densities(),
            test_accuracy=test.get(learner.task.metrics[0]),
            test_metrics=test,
            parent_val_accuracy=self.parent_val_accuracy,
            val_noise=noise,
            accuracy_by_arrival={
                name: metric_values(scores[rows])[0]
                for name, rows in learner.data.groups("val").items()
                if rows.stop > rows.start
            },
        )
        return Outcome(verdict, record, pack_model(learner.model, masks))
