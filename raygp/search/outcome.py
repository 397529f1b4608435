"""What a sweep comes to, and what is kept of it in storage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from raygp.record import CostLedger
from raygp.search.choice import TrialResult, best_trial, pareto_front
from raygp.search.settings import SweepSettings
from raygp.search.space import plan_of
from raygp.store import Location

if TYPE_CHECKING:
    from raygp.update.job import UpdateJob
    from raygp.update.outcome import Outcome

TRIALS_FOLDER = "tune"
"""Where the sweep's own state and what TensorBoard reads of its trials lie, below the folder of the update."""


@dataclass(frozen=True)
class SweepOutcome:
    """What a sweep came to."""

    job: UpdateJob
    """The update with the winner's plan."""
    outcome: Outcome
    """The winner's; its ledger is that of the whole sweep."""
    record: dict[str, Any]
    """For the card: trials, winner, why, names on the Pareto front, ledger of the shared work."""


def conclude(
    job: UpdateJob,
    settings: SweepSettings,
    tried: Sequence[TrialResult],
    shared: CostLedger,
    seconds: float,
    outcome_of: Callable[[str], Outcome],
) -> SweepOutcome:
    """Choose the winner and write down what the sweep did.

    Args:
        job: the update that the sweep was for.
        settings: of the sweep.
        tried: its trials.
        shared: what the work that they share cost.
        seconds: how long the sweep took.
        outcome_of: gives the outcome of a finished trial by its name; it is called for the winner only.

    Raises:
        InputError: no trial finished.
    """
    best, why = best_trial(tried, settings, job.metric)
    spent = shared
    for result in tried:
        spent = spent.plus(result.ledger)
    record = {
        "trials": [result.to_dict() for result in tried],
        "winner": best.name,
        "why": why,
        "front": sorted(pareto_front(tried)),
        "shared": shared.to_dict(),
        "objective": settings.objective,
        "seconds": round(seconds, 3),
    }
    won = replace(job, plan=plan_of(job.plan, best.point), sweep="", ladder=False)
    outcome = outcome_of(best.name)
    whole = outcome.record.model_copy(update={"ledger": spent})
    return SweepOutcome(won, replace(outcome, record=whole), record)


def keep_events(location: Location, folder: str, version: str) -> None:
    """Keep what TensorBoard reads of a sweep: copy it from the update's ``folder``, which is deleted after promotion,
    to ``reports/<version>-sweep/<trial>/``."""
    for file in location.walk(f"{folder}/{TRIALS_FOLDER}"):
        *_, trial, name = file.path.split("/")
        if name.startswith("events.out.tfevents"):
            location.write_bytes(f"reports/{version}-sweep/{trial}/{name}", location.read_bytes(file.path))
