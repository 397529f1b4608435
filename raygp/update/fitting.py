"""How a plan suits itself to an arrival: what it depends on is how much is old and new, and nothing else.

One plan has to serve half of the data as well as 64 rows, and new classes as well as more of the same. The rules, in
the order in which they are tried:

1. **Replay** is as many earlier examples as ``replay_ratio`` times the arrival's. Where classes are new, it is as many
   for each known class as a new class brings on average, if that is more: else the new ones crowd out the old.
2. **Steps.** A small arrival gives few training steps. Where there are fewer than ``min_steps``, batches are halved (to
   ``min_batch``, with the learning rate falling as their square root), then more is replayed, then there are more
   epochs, up to ``most_epochs`` times the plan's.

The shares that the plan gives are upper bounds throughout.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raygp.update.plan import Plan


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


def fit(plan: Plan, sizes: Sizes) -> Plan:
    """The plan for an arrival of these sizes, with nothing left to fit.

    Args:
        plan: whose ``fit`` says what may be changed; returned as it is if that is nothing.
        sizes: of parent and arrival.
    """
    rules = plan.fit
    if rules is None:
        return plan
    trained = plan.arrival.share * sizes.new_rows
    replayed = _replayed(plan, sizes)
    epochs = max(1, sum(plan.epochs_of(phase) for phase in plan.phases if not phase.on_arrival_alone))
    batch_size = plan.batch_size
    while batch_size // 2 >= rules.min_batch and (replayed + trained) * epochs / batch_size < rules.min_steps:
        batch_size //= 2
    wanted = rules.min_steps * batch_size / epochs - trained
    replayed = max(replayed, min(wanted, plan.replay.share * sizes.old_rows))
    changes: dict[str, Any] = {"fit": None}
    if sizes.old_rows:
        share = min(1.0, replayed / sizes.old_rows)
        changes["replay"] = plan.replay.model_copy(update={"share": share})
    if batch_size != plan.batch_size:
        # A step over half of the examples is noisier by the square root of two.
        slower = math.sqrt(batch_size / plan.batch_size)
        changes |= {"batch_size": batch_size, "lr": plan.lr * slower, "phases": _with_lr(plan, slower)}
    steps = max(1, int(replayed + trained) // batch_size) * epochs
    if steps < rules.min_steps:
        longer = min(rules.most_epochs, rules.min_steps / steps)
        changes |= {"epochs": math.ceil(plan.epochs * longer)}
    return plan.model_copy(update=changes)


def _with_lr(plan: Plan, factor: float) -> tuple[Any, ...]:
    """The phases, those with a rate of their own at ``factor`` times it."""
    return tuple(
        phase if phase.lr is None else phase.model_copy(update={"lr": phase.lr * factor}) for phase in plan.phases
    )


def _replayed(plan: Plan, sizes: Sizes) -> float:
    """Examples to replay for the sake of balance."""
    assert plan.fit is not None
    most = plan.replay.share * sizes.old_rows
    if plan.fit.replay_ratio is None:
        return most
    wanted = plan.fit.replay_ratio * sizes.new_rows
    if sizes.new_classes:
        wanted = max(wanted, sizes.known_classes * sizes.new_rows / sizes.new_classes)
    return min(most, wanted)
