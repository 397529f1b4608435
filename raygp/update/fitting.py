"""How a plan suits itself to an arrival: by how much is old and new, and by what the parent makes of it.

One plan has to serve half of the data as well as 64 rows, and new classes as well as more of the same. What may be
changed, and how far, stands in the plan's ``fit``. The rules, in the order in which they apply:

1. **How much there is to learn** is a number from 0 to 1, the larger of two: the new share over ``full_share``, and the
   parent's error on validation over ``full_error``. A network that is nearly right and gets little that is new can only
   be shaken; one that errs a lot has not learnt yet what its old data say. It is 1 where classes are new, and where the
   arrival **surprises** the parent: which has much less of its rows right than of earlier ones (:func:`surprises`).
2. **Steps** are as large as that: the learning rate is multiplied by it, but by no less than a tenth.
3. **Replay** is as many earlier examples as ``replay_ratio`` times the arrival's, and at least ``least_replay`` of all,
   or the part of them that the parent's error is of ``full_error``. Where classes are new, it is as many for each known
   class as a new class brings on average, if that is more: else the new ones crowd out the old.
4. **Longer**: new classes and surprises get ``longer`` times the epochs.
5. **Enough steps.** A small arrival gives few training steps. Where there are fewer than ``min_steps``, batches are
   halved (to ``min_batch``, with the learning rate falling as their square root), then more is replayed, then there are
   more epochs, up to ``most_epochs`` times the plan's.

The plan's own share of replay is an upper bound throughout.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from raygp.record import Look

if TYPE_CHECKING:
    from raygp.update.plan import FitSettings, Plan

_LEAST_LR = 0.1
_SURE, _MUCH = 0.99, 0.02


@dataclass(frozen=True)
class Sizes:
    """How much an update has to do with."""

    old_rows: int
    """Training examples that the parent has seen."""
    new_rows: int
    """Those of the arrival."""
    known_classes: int = 0
    """Classes that the parent knows; 0 where labels are no classes."""
    new_classes: int = 0
    """Classes that the arrival brings."""
    error: float = 0.0
    """The parent's on validation, over rows of classes that it knows; 0 to 1."""
    surprising: bool = False
    """Whether the arrival surprises the parent (:func:`surprises`)."""

    def seen(self, look: Look | None) -> Sizes:
        """The same, with what has been measured of the parent."""
        return self if look is None else replace(self, error=look.error, surprising=look.surprising)


def surprises(
    accuracy_new: float, rows_new: int, accuracy_old: float, rows_old: int, scatter: float | None = None
) -> bool:
    """Whether a parent is wrong about an arrival far more often than about what it knows: by two points and more than
    chance explains (one-sided, 99 %; normal form for two independent shares).

    Args:
        accuracy_new: the parent's, on the arrival's validation rows of known classes.
        rows_new: how many those are.
        accuracy_old: on the rows of earlier arrivals.
        rows_old: how many.
        scatter: deviation of the rows' points; None: they are 0 or 1, so that their share says it.
    """
    if not rows_new or not rows_old:
        return False
    both = (accuracy_new * rows_new + accuracy_old * rows_old) / (rows_new + rows_old)
    variance = max(0.0, both * (1.0 - both)) if scatter is None else scatter * scatter
    error = math.sqrt(variance * (1.0 / rows_new + 1.0 / rows_old))
    return accuracy_old - accuracy_new > max(_MUCH, NormalDist().inv_cdf(_SURE) * error)


def fit(plan: Plan, sizes: Sizes) -> Plan:
    """The plan for an arrival, with nothing left to fit.

    Args:
        plan: whose ``fit`` says what may be changed; returned as it is if that is nothing.
        sizes: of parent and arrival.
    """
    rules = plan.fit
    if rules is None:
        return plan
    trained = plan.arrival.share * sizes.new_rows
    replayed = _replayed(plan, rules, sizes)
    longer = rules.longer if sizes.surprising or sizes.new_classes else 1.0
    epochs = longer * max(1, sum(plan.epochs_of(phase) for phase in plan.phases if not phase.on_arrival_alone))
    batch_size = plan.batch_size
    while batch_size // 2 >= rules.min_batch and (replayed + trained) * epochs / batch_size < rules.min_steps:
        batch_size //= 2
    wanted = rules.min_steps * batch_size / epochs - trained
    replayed = max(replayed, min(wanted, plan.replay.share * sizes.old_rows))
    steps = max(1, int(replayed + trained) // batch_size) * epochs
    if steps < rules.min_steps:
        longer *= min(rules.most_epochs, rules.min_steps / steps)
    # A step over half of the examples is noisier by the square root of two.
    rate = _rate(rules, sizes) * math.sqrt(batch_size / plan.batch_size)
    changes: dict[str, Any] = {"fit": None, "batch_size": batch_size, "epochs": _longer(plan.epochs, longer)}
    changes |= {"lr": plan.lr * rate, "phases": tuple(_fitted_phase(phase, rate, longer) for phase in plan.phases)}
    if sizes.old_rows:
        share = min(1.0, replayed / sizes.old_rows)
        changes["replay"] = plan.replay.model_copy(update={"share": share})
    return plan.model_copy(update=changes)


def _longer(epochs: int, factor: float) -> int:
    # Without the margin, 3 epochs times 4 / 3 may be a hair above 4.
    return math.ceil(epochs * factor - 1e-9)


def _fitted_phase(phase: Any, rate: float, longer: float) -> Any:
    """A phase, with what it does not take from the plan changed as the plan's."""
    own: dict[str, Any] = {}
    if phase.lr is not None:
        own["lr"] = phase.lr * rate
    if phase.epochs is not None:
        own["epochs"] = _longer(phase.epochs, longer)
    return phase.model_copy(update=own)


def _rate(rules: FitSettings, sizes: Sizes) -> float:
    """What the learning rate is multiplied by for the sake of what there is to learn."""
    if sizes.surprising or sizes.new_classes:
        return 1.0
    new_share = sizes.new_rows / max(1, sizes.old_rows + sizes.new_rows)
    return min(1.0, max(_LEAST_LR, new_share / rules.full_share, sizes.error / rules.full_error))


def _replayed(plan: Plan, rules: FitSettings, sizes: Sizes) -> float:
    """Examples to replay for the sake of balance."""
    most = plan.replay.share * sizes.old_rows
    if rules.replay_ratio is None:
        return most
    least = max(rules.least_replay, min(1.0, sizes.error / rules.full_error))
    wanted = max(rules.replay_ratio * sizes.new_rows, least * sizes.old_rows)
    if sizes.new_classes:
        wanted = max(wanted, sizes.known_classes * sizes.new_rows / sizes.new_classes)
    return min(most, wanted)
