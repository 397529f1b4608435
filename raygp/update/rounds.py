"""What a pruning round leads to: decisions as pure functions, carried out by :mod:`raygp.update.engine`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from raygp.update.plan import Plan, PrunePhase


class Next(Enum):
    """Where an update goes after a round."""

    ROUND = "round"
    PHASE = "phase"


@dataclass(frozen=True)
class Decision:
    """What becomes of a finished pruning round."""

    restore: bool
    """Put connections, values and optimizer state back as they were before the round."""
    beta: float
    """Pruning ratio of the round that follows."""
    next: Next
    reason: str


def round_density(phase: PrunePhase, plan: Plan, density: float, beta: float) -> float:
    """The density that a round cuts the model to: ``beta`` of the active connections fewer, never below the goal."""
    return max(plan.density_of(phase), density * (1.0 - beta))


def after_round(
    phase: PrunePhase, plan: Plan, *, rounds: int, beta: float, accuracy: float, reference: float, at_goal: bool
) -> Decision:
    """Judge a finished round (not a gradual one, which is a phase by itself).

    Recoverable: within tolerance of the reference, keep it and go on; else restore and halve beta, until beta falls
    under its floor. Permanent: the values are gone, so a round below the floor ends the phase.

    Args:
        rounds: rounds done in this phase, this one included.
        beta: the round's pruning ratio.
        accuracy: validation accuracy after the round.
        reference: validation accuracy when the phase began.
        at_goal: the model is at the phase's density.
    """
    held = accuracy >= reference - plan.tolerance_of(phase) - 1e-12
    out_of_rounds = rounds >= phase.rounds
    if held:
        if at_goal:
            return Decision(False, beta, Next.PHASE, "density reached")
        if out_of_rounds:
            return Decision(False, beta, Next.PHASE, "no rounds left")
        return Decision(False, beta, Next.ROUND, "within tolerance")
    if phase.kind == "prune-permanent":
        return Decision(False, beta, Next.PHASE, "accuracy floor not held")
    halved = beta / 2
    if halved < phase.beta_floor:
        return Decision(True, halved, Next.PHASE, "restored, pruning ratio at its floor")
    if out_of_rounds:
        return Decision(True, halved, Next.PHASE, "restored, no rounds left")
    return Decision(True, halved, Next.ROUND, "restored, pruning ratio halved")
