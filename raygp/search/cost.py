"""What a sweep is expected to cost, and what it may cost."""

from __future__ import annotations

from dataclasses import dataclass

from raygp.search.settings import SweepSettings
from raygp.update.fitting import Sizes
from raygp.update.plan import Plan


@dataclass(frozen=True)
class ExpectedCost:
    """What a sweep will come to, in examples (a forward and backward pass each)."""

    shared: float
    """Done once."""
    trial: float
    """One trial of the plan itself, run to its end."""
    low: float
    """All trials, if the scheduler lets no more go on than it wants to."""
    high: float
    """All trials run to their end."""
    update: float
    """One update with the plan itself, without a sweep."""


def expected_cost(plan: Plan, settings: SweepSettings, old_rows: int, new_rows: int, kept: int = 1) -> ExpectedCost:
    """Estimate the cost of a sweep around ``plan`` from the numbers of training examples.

    Args:
        plan: what a trial costs is taken from it.
        settings: of the sweep.
        old_rows: training examples that the parent has seen.
        new_rows: those of the arrival.
        kept: trials that are not stopped early.
    """
    scanned, trained = _examples_of(plan, old_rows, new_rows)
    share = 1.0 if settings.scheduler == "none" else _share_that_runs(settings)
    kept = min(kept, settings.trials)
    low = scanned + (kept + (settings.trials - kept) * share) * trained
    high = scanned + settings.trials * trained
    return ExpectedCost(scanned, trained, low, high, scanned + trained)


def _examples_of(plan: Plan, old_rows: int, new_rows: int) -> tuple[float, float]:
    """What the passes over the parent that trials share cost (losses, the sums that growth ranks by), and the training
    of one trial; in examples."""
    plan = plan.fitted(Sizes(old_rows, new_rows))
    parts = ((plan.replay, old_rows), (plan.arrival, new_rows))
    scanned = sum(max(part.share * part.hard, part.scan) * rows / 3 for part, rows in parts if part.by_loss)
    chosen = sum(part.share * rows for part, rows in parts)
    trained = sum(phase.trained_examples(plan, new_rows, chosen) for phase in plan.phases)
    scanned += sum(phase.scanned_examples(plan, new_rows, chosen) for phase in plan.phases)
    if plan.distillation.weight_for(old_rows, new_rows) > 0.0:
        asked = plan.replay.share * old_rows / max(1.0, chosen) if plan.distillation.replay_only else 1.0
        trained *= 1.0 + asked / 3.0
    return scanned, trained


def cost_limit(settings: SweepSettings, update: float) -> float | None:
    """``max_cost`` in examples.

    Args:
        settings: of the sweep.
        update: examples that one update with the plan itself is expected to cost.
    """
    limit = settings.max_cost
    return float(limit.removesuffix("x")) * update if isinstance(limit, str) else limit


def _share_that_runs(settings: SweepSettings) -> float:
    """Part of its epochs that a trial runs on average, if one trial in ``reduction`` passes each comparison."""
    done, going_on, total = settings.grace, 1.0, settings.grace
    while done < 1.0:
        going_on /= settings.reduction
        step = min(1.0, done * settings.reduction) - done
        done, total = done + step, total + going_on * step
    return total
