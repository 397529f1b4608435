"""What to try after a refusal."""

from __future__ import annotations

from dataclasses import dataclass

from raygp.update.gate import Verdict
from raygp.update.plan import Plan

_FEW_STEPS = 200
"""Training steps below which more of them are the first thing to try."""


@dataclass(frozen=True)
class Effort:
    """What an update put into its candidate."""

    plan: Plan
    new_rows: int
    """Training examples of the arrival."""
    steps: int
    """Training steps of all phases together."""


def advice(verdict: Verdict, effort: Effort) -> str:
    """What is likely to help against a refusal, most likely first: settings, as they are given to an update.

    Args:
        verdict: the refusal, perhaps with an advice of the gate's own.
        effort: what the refused candidate was made with.
    """
    plan, found = effort.plan, []
    about_new = verdict.decided_by.startswith("new class")
    if effort.steps < _FEW_STEPS:
        found.append(f"more plan.epochs ({effort.new_rows:,} new rows gave {effort.steps:,} steps)")
    elif about_new:
        found.append("more plan.epochs")
    if not about_new and plan.replay.share < 1.0:
        found.append("plan.replay.share=1")
    if not about_new and plan.distillation.weight == 0.0:
        found.append("plan.distillation.weight=0.5")
    if not about_new and plan.arrival.by_loss and plan.arrival.hard > 0.0:
        found.append("plan.arrival.hard=0")
    if verdict.advice:
        found.append(verdict.advice)
    return ", or ".join(found) or "more plan.epochs, or a lower plan.lr"
