"""A whole sweep: everything about it that is decided, whoever runs its trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from raygp.events import Listener, Notice, SweepStarted, WorkShared
from raygp.record import CostLedger
from raygp.search.choice import TrialResult
from raygp.search.layout import Layout, lay_out
from raygp.search.outcome import SweepOutcome, conclude
from raygp.search.settings import SweepSettings
from raygp.search.watch import SweepWatch

if TYPE_CHECKING:
    from raygp.update.job import UpdateJob
    from raygp.update.outcome import Outcome

SHARED = "shared"
"""Key of the shared work in :attr:`raygp.search.watch.SweepWatch.spent`."""


class Trials(Protocol):
    """Runs the trials of one sweep: Ray Tune does, and so does a test's stand-in."""

    def prepare(self, tell: Listener) -> None:
        """Get the data and room for trials; ``tell`` is told of what has to be waited for."""

    def share_work(self) -> CostLedger:
        """Compute what all trials have in common, unless it is there; gives what it cost when it was computed."""
        ...

    def run(self, layout: Layout, watch: SweepWatch) -> Sequence[TrialResult]:
        """Run the trials, or what is left of them if the sweep was begun before. Keep ``watch`` up to date, and end
        early when ``watch.must_end()``. Gives every trial that has reported, those of earlier attempts included."""
        ...

    def outcome(self, name: str) -> Outcome:
        """The outcome of a trial that has finished."""
        ...


def sweep(
    job: UpdateJob, settings: SweepSettings, past: Sequence[Mapping[str, Any]], tell: Listener, trials: Trials
) -> SweepOutcome:
    """Search plans around ``job.plan``.

    Args:
        job: the update; it has a parent, since the plan of a first version is not searched for.
        settings: of the sweep.
        past: the ``sweep`` parts of the line's cards, newest first.
        tell: told SweepStarted, WorkShared, TrialEnded, BudgetSpent and Notice.
        trials: runs them.

    Raises:
        InputError: the space does not fit the plan, or no trial finished.
        KeyboardInterrupt: the sweep was interrupted before any trial finished.
    """
    layout = layout_of(job, settings, past)
    trials.prepare(tell)
    tell(SweepStarted(version=job.version, trials=layout.trials))
    shared = CostLedger()
    if settings.share_work:
        shared = trials.share_work()
        saved = (settings.trials - 1) * shared.examples
        tell(WorkShared(version=job.version, examples=shared.examples, saved=saved, trials=settings.trials))
    watch = SweepWatch(
        version=job.version,
        trials=layout.trials,
        tell=tell,
        spent={SHARED: shared.examples},
        max_examples=layout.limit,
        max_hours=settings.max_hours,
    )
    tried = trials.run(layout, watch)
    if watch.interrupted:
        if not any(result.state == "finished" for result in tried):
            raise KeyboardInterrupt
        tell(Notice(text="interrupted; choosing among the trials that have finished"))
    return conclude(job, settings, tried, shared, watch.seconds, trials.outcome)


def layout_of(job: UpdateJob, settings: SweepSettings, past: Sequence[Mapping[str, Any]]) -> Layout:
    """:func:`raygp.search.layout.lay_out` for an update of a version; see :func:`sweep` for arguments and errors."""
    assert job.parent is not None  # The first version's plan is not searched for.
    return lay_out(
        job.plan,
        settings,
        past,
        job.parent.val_accuracy,
        job.parent.total_connections,
        job.old_rows,
        job.new_rows,
    )
