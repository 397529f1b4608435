"""What an update came to: the candidate is measured and judged, at its end or where a phase has ruined it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from raygp.record import Compared, Look, PhaseRecord, RunningRecord, UpdateRecord, called, measured
from raygp.sparse import pack_model
from raygp.tasks.traits import metric_name
from raygp.update.advice import Effort, advice
from raygp.update.comparing import decide
from raygp.update.fitting import surprises
from raygp.update.gate import AMONG_KNOWN, GateSettings, Verdict, collapsed, judge, val_noise
from raygp.update.learner import Learner
from raygp.update.measuring import Measured, metric_values
from raygp.update.outcome import Outcome
from raygp.update.phases import Phase
from raygp.update.plan import Plan
from raygp.update.rungs import falls_away
from raygp.update.state import Cursor
from raygp.update.val_rows import ValRows, accuracy


@dataclass
class Judge:
    """Compares a candidate with its parent."""

    learner: Learner
    has_parent: bool
    gate: GateSettings
    """How much the candidate may lose."""
    classes: Sequence[str] = ()
    """Names of the candidate's classes."""
    known_classes: int | None = None
    """How many of them the parent knows; None: all."""
    arrivals: Sequence[str] = ()
    """Names of the new arrivals that are trained on; empty: the last one that brought validation rows."""
    parent_scores: np.ndarray | None = None
    """The parent's on validation, once they are known: rows x metrics x 2 (:meth:`scores_of_parent`)."""

    @property
    def metric(self) -> str:
        """What accuracies are called where they are no shares of right answers; else empty."""
        return metric_name(self.learner.task)

    @property
    def parent_val_accuracy(self) -> float | None:
        """The parent's accuracy on validation; None if there is none, or it is not measured yet."""
        return None if self.parent_scores is None else metric_values(self.parent_scores)[0]

    def scores_of_parent(self) -> np.ndarray:
        """The parent's on validation, measured while the learner has its model: it answers with what it knows."""
        measured = self.learner.measure("val")
        return measured.scores if measured.among_known is None else measured.among_known

    def look(self) -> tuple[Look, str]:
        """What the parent makes of the validation rows of classes that it knows; and in words, how the arrival
        surprises it (:func:`raygp.update.fitting.surprises`), empty if it does not."""
        assert self.parent_scores is not None
        rows, scores = self._rows(), self.parent_scores[:, 0]
        known = ~rows.new
        if not known.any():
            return Look(error=1.0), ""
        is_of_arrival = np.zeros(len(known), dtype=bool)
        for name in self.arrivals or list(rows.arrivals)[-1:]:
            # An arrival may have brought nothing to validate on.
            is_of_arrival[rows.arrivals.get(name, slice(0, 0))] = True
        new, old = np.flatnonzero(known & is_of_arrival), np.flatnonzero(known & ~is_of_arrival)
        ours, before = accuracy(scores[new]), accuracy(scores[old])
        metric = self.metric
        # Of answers that are right or wrong, the share says how far they scatter; points of numbers say it themselves.
        scatter = float(np.std(scores[known, 0])) if metric else None
        surprising = surprises(ours, len(new), before, len(old), scatter)
        right = "" if metric else " right"
        who = "arrivals surprise" if len(self.arrivals) > 1 else "arrival surprises"
        words = (
            f"the {who} the parent: {called(ours, metric)}{right} on {len(new):,} rows, "
            f"{measured(before, metric)} on earlier ones"
        )
        return Look(error=1.0 - accuracy(scores[known]), surprising=surprising), words if surprising else ""

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
            f"validation {called(record.val_accuracy, self.metric)} after {measured(best, self.metric)}: {advice}",
            decided_by=f"phase {cursor.phase}",
            rows=len(self._rows().new),
        )

    def given_up(self, plan: Plan, phase: Phase, cursor: Cursor, record: PhaseRecord) -> Verdict | None:
        """The refusal of a candidate that has lost so much of what the parent knew that the rest of its phase would
        hardly bring it back (:func:`raygp.update.rungs.falls_away`).

        Args:
            plan: of the update.
            phase: that runs.
            cursor: between two of its epochs.
            record: of the phase.
        """
        if self.parent_scores is None or phase.on_arrival_alone:
            return None
        history = [epoch for epoch in record.history if epoch.round == cursor.round]
        known = [epoch.known_accuracy for epoch in history if epoch.known_accuracy is not None]
        # An epoch of an earlier raygp has only the accuracy with all classes in play.
        among = len(known) == len(history)
        accuracies = known if among else [epoch.val_accuracy for epoch in history]
        epochs = plan.epochs_of(phase)
        # What the rows are takes a pass over validation after a kill: it is asked for only where it could matter.
        if not falls_away(accuracies, epochs, 1.0, 1.0):
            return None
        rows = self._rows()
        kept = np.flatnonzero(~rows.new) if among else np.arange(rows.count)
        parent = accuracy(self.parent_scores[kept, 0])
        if not falls_away(accuracies, epochs, parent, rows.guessing(kept)):
            return None
        return Verdict(
            False,
            f"rejected: given up after epoch {len(accuracies)} of {epochs} ({phase.kind}), validation "
            f"{called(accuracies[-1], self.metric)}{AMONG_KNOWN if among else ''}, "
            f"parent {called(parent, self.metric)}",
            decided_by="validation",
            rows=len(kept),
        )

    def outcome(self, running: RunningRecord, plan: Plan, steps: int, refusal: Verdict | None = None) -> Outcome:
        """Measure the candidate and judge it; it is looked at on the test split only if it passes.

        Args:
            running: what the update has done.
            plan: of the update.
            steps: training steps that it did.
            refusal: the verdict, if it has been given already.
        """
        learner, masks = self.learner, self.learner.masks
        measured = learner.measure("val")
        verdict = refusal or self._judge(measured, Effort(plan, learner.data.new_rows, steps))
        has_test = any(rows.stop > rows.start for rows in learner.data.groups("test").values())
        test = learner.metrics("test") if verdict.promoted and has_test else {}
        record = UpdateRecord(
            metric=self.metric,
            phases=running.phases,
            rungs=running.rungs,
            look=running.look,
            ledger=learner.ledger,
            val_accuracy=measured.accuracy,
            mask_digest=masks.digest(),
            density=masks.density,
            active_connections=masks.active,
            total_connections=masks.total,
            densities=masks.densities(),
            test_accuracy=test.get(learner.task.metrics[0]),
            test_metrics=test,
            parent_val_accuracy=self.parent_val_accuracy,
            **self._comparisons(measured),
        )
        return Outcome(verdict, record, pack_model(learner.model, masks), measured.probe)

    def _judge(self, measured: Measured, effort: Effort) -> Verdict:
        """The verdict on a candidate's answers."""
        candidate, among = _first_metric(measured)
        if self.parent_scores is not None:
            verdict = decide(candidate, self.parent_scores[:, 0], self._rows(), self.gate, among)
            return verdict if verdict.promoted else replace(verdict, advice=advice(verdict, effort))
        guessing = 0.0 if self.has_parent else self.learner.guessing("val")
        metric = "" if self.has_parent else self.metric
        verdict = judge(accuracy(candidate), None, self.gate.tolerance, guessing, metric=metric)
        return replace(verdict, rows=len(candidate))

    def _comparisons(self, measured: Measured) -> dict[str, Any]:
        """What the record says of candidate and parent over parts of the rows, by field of :class:`UpdateRecord`."""
        rows, noise = self._rows(), None
        candidate, among = _first_metric(measured)
        parent = None if self.parent_scores is None else self.parent_scores[:, 0]
        new, known = np.flatnonzero(rows.new), np.flatnonzero(~rows.new)
        if parent is not None:
            ours = candidate if among is None else among
            noise = val_noise(ours[known], parent[known], self.gate.confidence)

        def compared(part: np.ndarray) -> Compared:
            return rows.compared(part, candidate, parent, among)

        return {
            "val_noise": noise,
            "known": compared(known) if len(new) else None,
            "new": compared(new) if len(new) else None,
            "by_arrival": {name: compared(part) for name, part in rows.by_arrival().items()},
            "by_class": {name: compared(part) for name, part in rows.by_class().items()},
        }

    def _rows(self) -> ValRows:
        """What the validation rows are."""
        learner, known = self.learner, self.known_classes if self.has_parent else None
        return ValRows(learner.data.groups("val"), learner.class_ids("val"), known, self.classes, self.metric)


def _first_metric(measured: Measured) -> tuple[np.ndarray, np.ndarray | None]:
    """What the gate judges of each row, points and weights, rows x 2: with all classes in play and among known ones."""
    return measured.scores[:, 0], None if measured.among_known is None else measured.among_known[:, 0]
