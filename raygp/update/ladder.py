"""Carrying an update out rung by rung: each starts from the same parent, until the gate lets a candidate pass.

All rungs run inside one run of the update and are charged to one ledger. A checkpoint holds what the rungs before came
to, and what the next one is follows from that and from the plan alone: a killed update goes on at its rung, to the same
bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from raygp.errors import TrainingError
from raygp.events import RungStarted
from raygp.record import Look, RungRecord, measured
from raygp.update.engine import Update
from raygp.update.observer import Observer
from raygp.update.outcome import Outcome
from raygp.update.plan import Plan
from raygp.update.rungs import Rung, first_rung, next_rung
from raygp.update.shared import SharedWork
from raygp.update.state import Checkpoint


class Ladder:
    """Updates from one parent, one after the other; or a single one, where there is one rung."""

    def __init__(
        self, rungs: Callable[[Look | None], Sequence[Rung]], make: Callable[[Plan, bool], Update], observer: Observer
    ) -> None:
        """Nothing is done yet.

        Args:
            rungs: gives them, cheapest first, by what was seen of the parent; None: nothing yet.
            make: makes the update with a rung's plan, over the parent's model; the flag says whether it may be given up
                before its end, since another rung follows.
            observer: told when a rung begins.
        """
        self._rungs_for, self._make, self._observer = rungs, make, observer
        # Where an error makes a difference, the plan is one that is fitted.
        self._fits = list(rungs(Look(error=1.0))) != list(rungs(Look(error=0.0)))
        self._rungs = rungs(None)
        self._tried: list[RungRecord] = []
        self._number = 0
        self._update: Update | None = None

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from ``checkpoint`` instead of from the start. Raises as :meth:`Update.resume` does."""
        record = checkpoint.state.record
        self._tried, self._rungs = list(record.rungs), self._rungs_for(record.look)
        # What began after a rung was passed over is the next one all the same.
        number = next_rung(self._rungs, self._tried)
        if number is None:
            raise TrainingError("the checkpoint is of a ladder with other rungs: delete its folder, run again")
        self._number, self._update = number, self._made(number)
        self._update.resume(checkpoint)

    def run(self) -> Outcome:
        """All that is left of the rungs. The outcome is that of the first that the gate lets pass, else of the last.

        Raises as :meth:`Update.run` does.
        """
        if self._update is None:
            self._begin()
        while True:
            update = self.update
            outcome = update.run()
            self._tried.append(self._record_of(outcome))
            if outcome.verdict.promoted or (number := next_rung(self._rungs, self._tried)) is None:
                return self._whole(outcome)
            self._climb(number, outcome.verdict.reason)

    def shared_work(self) -> SharedWork:
        """See :meth:`Update.shared_work`."""
        self._begin()
        return self.update.shared_work()

    @property
    def update(self) -> Update:
        """The update of the rung that is tried."""
        if self._update is None:
            self._update = self._made(0)
        return self._update

    def _begin(self) -> None:
        """Look for what says how to fit the plan and where to begin, where either makes a difference."""
        if self._fits:
            look, because = self.update.look()
            self._rungs = self._rungs_for(look)
            self._climb(0, because, look)
        if not any(rung.name == "uniform" for rung in self._rungs):
            return
        unlearnt = self.update.unlearnt()
        number = first_rung(self._rungs, unlearnt)
        for rung in self._rungs[:number]:
            reason = f"not tried: the parent gets {unlearnt:.1%} wrong of what it was trained on, like noise"
            self._tried.append(RungRecord(name=rung.name, changes=rung.changes, reason=reason))
        if number:
            self._climb(number, self._tried[-1].reason)

    def _climb(self, number: int, because: str, look: Look | None = None) -> None:
        """Go on with another rung, from the parent."""
        before, rung, self._number = self.update, self._rungs[number], number
        self._update = self._made(number)
        self._update.follow(before, self._tried)
        if look is not None:
            self._update.state.record.look = look
        self._observer.event(
            RungStarted(rung=number, rungs=len(self._rungs), name=rung.name, changes=rung.changes, because=because)
        )

    def _made(self, number: int) -> Update:
        return self._make(self._rungs[number].plan, number + 1 < len(self._rungs))

    def _record_of(self, outcome: Outcome) -> RungRecord:
        """What the rung came to that has just ended."""
        rung, ledger = self._rungs[self._number], outcome.record.ledger
        return RungRecord(
            name=rung.name,
            changes=rung.changes,
            promoted=outcome.verdict.promoted,
            reason=outcome.verdict.reason,
            decided_by=outcome.verdict.decided_by,
            val_accuracy=outcome.record.val_accuracy,
            examples=ledger.examples - sum(record.examples for record in self._tried),
            sparse_flops=ledger.sparse_flops - sum(record.sparse_flops for record in self._tried),
        )

    def _whole(self, outcome: Outcome) -> Outcome:
        """The outcome with all the rungs in it."""
        outcome.record.rungs = list(self._tried)
        refused = [record for record in self._tried if record.val_accuracy is not None]
        if outcome.verdict.promoted or len(refused) < 2:
            return outcome
        metric = outcome.record.metric
        names = ", ".join(f"{rung.name} {measured(rung.val_accuracy or 0.0, metric)}" for rung in refused)
        reason = f"{outcome.verdict.reason} ({len(refused)} plans were tried: {names})"
        return replace(outcome, verdict=replace(outcome.verdict, reason=reason))
