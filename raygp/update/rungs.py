"""The rungs of the ladder: an update's plan, then safer ones. Pure decisions, without torch.

A plan that is cheap on most data does not hold on all. So a refusal is not the end: the next rung starts from the same
parent, and costs more.

======== ===========================================================================================================
rung     what it changes in the plan
======== ===========================================================================================================
plan     nothing
uniform  examples are chosen at random, not by loss (only where the plan chooses by loss)
replay   all of the arrival and all earlier examples; half of what is learnt from the latter is the parent's answer
longer   as ``replay``, with twice the epochs
======== ===========================================================================================================

Where classes are new, the parent's answers, which know the old ones alone, would push towards those. So ``longer`` does
without them, and ``replay``, which is hardly more than the fitted plan then, is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from raygp.record import RungRecord
from raygp.update.fitting import Sizes
from raygp.update.plan import DistillationSettings, Plan, ReplaySettings, SelectionSettings

LADDER = 1
"""Number of this set of rungs. An update is known by it: one that was begun on other rungs does not go on on these."""
NOISY = 0.02
"""Part of the earlier examples that the parent, which was trained on them, still gets wrong: from here on a choice by
loss looks for what cannot be learnt."""
_PARENTS_PART, _LONGER = 0.5, 2
_LOST, _OPTIMISM = 1.0 / 3.0, 2.0
_EVERYTHING = SelectionSettings(share=1.0, hard=0.0)


@dataclass(frozen=True)
class Rung:
    """One plan of the ladder."""

    name: str
    plan: Plan
    """Fitted to the arrival."""
    changes: dict[str, Any]
    """Settings in which it differs from the plan that was asked for, by dotted name."""


def rungs_of(plan: Plan, sizes: Sizes, ladder: bool) -> list[Rung]:
    """The rungs for an arrival, cheapest first.

    Args:
        plan: that was asked for.
        sizes: of parent and arrival.
        ladder: whether there are more rungs than the first.
    """
    safer: list[tuple[str, Plan]] = []
    if ladder:
        if plan.replay.by_loss or plan.arrival.by_loss:
            by_chance = {"hard": 0.0}
            safer.append(("uniform", plan.model_copy(update={
                "replay": plan.replay.model_copy(update=by_chance),
                "arrival": plan.arrival.model_copy(update=by_chance),
            })))  # fmt: skip
        weight = plan.distillation.weight if sizes.new_classes else max(_PARENTS_PART, plan.distillation.weight)
        # A plan without replay leaves earlier shards alone. Then the parent can only speak of the arrival.
        taught = DistillationSettings(
            weight=weight, replay_only=sizes.old_rows > 0, temperature=plan.distillation.temperature
        )
        fit = None if plan.fit is None else plan.fit.model_copy(update={"replay_ratio": None})
        replay = ReplaySettings(**_EVERYTHING.model_dump(), by_class=plan.replay.by_class)
        everything = plan.model_copy(
            update={"replay": replay, "arrival": _EVERYTHING, "distillation": taught, "fit": fit, "shrink": 1.0}
        )
        if not sizes.new_classes:
            safer.append(("replay", everything))
        safer.append(("longer", _longer(everything)))
    found: list[Rung] = []
    for name, asked in [("plan", plan), *safer]:
        fitted = asked.fitted(sizes)
        if all(fitted != rung.plan for rung in found):
            found.append(Rung(name, fitted, differences(plan, fitted)))
    return found


def _longer(plan: Plan) -> Plan:
    phases = tuple(
        phase if phase.epochs is None else phase.model_copy(update={"epochs": _LONGER * phase.epochs})
        for phase in plan.phases
    )
    return plan.model_copy(update={"epochs": _LONGER * plan.epochs, "phases": phases})


def differences(asked: Plan, other: Plan) -> dict[str, Any]:
    """The settings of ``other`` that are not those of ``asked``, by dotted name; ``fit`` is not looked at."""
    one, two = _flat(asked.model_dump(mode="json")), _flat(other.model_dump(mode="json"))
    return {
        key: value
        for key, value in two.items()
        if key.split(".")[0] not in ("fit", "name") and one.get(key, value) != value
    }


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        parts = {str(number): part for number, part in enumerate(value)}.items()
    else:
        return {prefix: value}
    found: dict[str, Any] = {}
    for key, part in parts:
        found |= _flat(part, f"{prefix}.{key}" if prefix else key)
    return found


def next_rung(rungs: Sequence[Rung], tried: Sequence[RungRecord]) -> int | None:
    """Which rung follows those that were tried; None if none is left.

    Where new classes were not learnt, more of the old data would not help: the longest rung is next.
    """
    number = len(tried)
    if number >= len(rungs) or (tried and tried[-1].name == rungs[-1].name):
        return None
    if tried and tried[-1].decided_by.startswith("new class"):
        return len(rungs) - 1
    return number


def first_rung(rungs: Sequence[Rung], unlearnt: float | None) -> int:
    """Which rung to begin with.

    Args:
        rungs: of the ladder.
        unlearnt: part of a sample of the earlier examples that the parent gets wrong; None if it was not looked at.
    """
    names = [rung.name for rung in rungs]
    noisy = unlearnt is not None and unlearnt > NOISY
    return names.index("uniform") if noisy and "uniform" in names else 0


def falls_away(accuracies: Sequence[float], epochs: int, parent: float, guessing: float) -> bool:
    """Whether a rung may be given up before its end: half of its epochs are over, a third of what the parent was better
    than guessing is lost, and twice the rise of the last epochs would not bring that back.

    A learning-rate cycle gains most in its last epochs, so that less than this says nothing.

    Args:
        accuracies: on validation, by epoch of the phase so far.
        epochs: that the phase has.
        parent: the parent's accuracy on the same rows.
        guessing: accuracy of the most frequent class.
    """
    done = len(accuracies)
    if done < 3 or 2 * done < epochs or done >= epochs:
        return False
    bar = parent - _LOST * max(0.0, parent - guessing)
    back = done // 2
    rise = max(0.0, (accuracies[-1] - accuracies[-1 - back]) / back)
    return accuracies[-1] + _OPTIMISM * rise * (epochs - done) < bar
