"""What every phase is: settings, and what they make a running update do."""

from __future__ import annotations

import math
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol

from pydantic import Field, model_validator

from raygp.record import PhaseRecord
from raygp.update.fields import Positive, Settings, Share

if TYPE_CHECKING:
    from raygp.update.plan import Plan
    from raygp.update.state import Cursor


class Next(Enum):
    """Where an update goes after a round of a phase."""

    ROUND = "another round of this phase"
    PHASE = "the next phase"


class Running(Protocol):
    """What a phase sees of the update that it is a part of, and may ask of it."""

    plan: Plan

    @property
    def cursor(self) -> Cursor:
        """The place in the plan, with what the phase has to remember between steps."""
        ...

    @property
    def phase_record(self) -> PhaseRecord:
        """What this phase has done so far."""
        ...

    @property
    def val_accuracy(self) -> float:
        """At the last evaluation, 0 to 1."""
        ...

    @property
    def density(self) -> float:
        """Of the whole model."""
        ...

    @property
    def total_connections(self) -> int:
        """Of the whole model, active or not."""
        ...

    def grow(self, alpha: float, eta: float, sample: Any) -> None:
        """Sum gradients over a sample of the phase's data, and activate what they ask for.

        Args:
            alpha: growth ratio.
            eta: step size of a grown connection's first value.
            sample: called with the number of the phase's examples; gives how many of them are summed over.
        """
        ...

    def prune(self, density: float) -> None:
        """Remove connections until the model has this density."""
        ...

    def keep_snapshot(self) -> None:
        """Put model and optimizer aside as they are now."""
        ...

    def restore_snapshot(self) -> None:
        """Put everything back as it was at :meth:`keep_snapshot`, and evaluate."""
        ...

    def drop_snapshot(self) -> None:
        """Forget the snapshot, if there is one."""
        ...


class Phase(Settings):
    """One stage of an update. The base class trains, and neither grows nor prunes.

    A phase runs in one or more rounds; each round is a step on entering, training epochs, and a decision on leaving.
    A phase of one's own subclasses this, overrides what it does differently, and is registered under its ``kind``.
    """

    kind: str
    """grow-new, grow-all, prune-recoverable, prune-permanent, or what an installed package adds."""
    epochs: Annotated[int, Field(ge=0)] | None = None
    """Training epochs after the step; 0 makes the phase a step alone. None: the plan's."""
    lr: Positive | None = None
    """Peak learning rate. None: the plan's."""
    schedule: Literal["cycle", "constant"] = "cycle"
    """cycle: linear warm-up, then cosine to zero over the phase. constant: the peak throughout."""
    warmup: Share = 0.1
    """Part of the phase's steps that a cycle warms up over."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Stop the phase early after so many epochs without a better validation accuracy (constant schedule only)."""

    on_arrival_alone: ClassVar[bool] = False
    """Whether it trains on the arrival alone, and not on replay and arrival. Such a phase may forget what replay brings
    back later, so its accuracy is not held against it."""

    @model_validator(mode="after")
    def _patience_needs_constant(self) -> Phase:
        if self.patience is not None and self.schedule == "cycle":
            raise ValueError("patience needs schedule: constant (a cycle cut short would not have annealed)")
        return self

    # -- what it does -------------------------------------------------------------------------------------------------

    def enter(self, update: Running) -> None:
        """The step of a round, before its training."""

    def before_step(self, update: Running, done: float) -> None:
        """Called before each training step; ``done`` is the part of the round's steps that are over, in [0, 1)."""

    def after_epoch(self, update: Running, done: float) -> None:
        """Called after each epoch, before its evaluation, with the part of the round's epochs that are over, in (0, 1];
        once with 1.0 in a round without epochs."""

    def leave(self, update: Running) -> Next:
        """What follows a round, which has been evaluated."""
        return Next.PHASE

    def learning_rate(self, peak: float, done: float) -> float:
        """Learning rate when the part ``done`` of a round's steps is over.

        A cycle rises linearly from a tenth of the peak over ``warmup``, then follows a cosine to zero.
        """
        if self.schedule == "constant":
            return peak
        if done < self.warmup:
            return peak * (0.1 + 0.9 * done / self.warmup)
        after = (done - self.warmup) / max(1e-12, 1.0 - self.warmup)
        return peak * 0.5 * (1.0 + math.cos(math.pi * min(1.0, after)))

    # -- what it is expected to cost ----------------------------------------------------------------------------------

    def sampled(self, rows: int) -> int:
        """How many of its ``rows`` examples the step on entering looks at."""
        return 0

    @property
    def most_rounds(self) -> int:
        """How many rounds it may have."""
        return 1

    def rows(self, new_rows: float, chosen: float) -> float:
        """Examples of one epoch.

        Args:
            new_rows: training examples of the arrival.
            chosen: those of replay and arrival that the plan chooses.
        """
        return new_rows if self.on_arrival_alone else chosen

    def trained_examples(self, plan: Plan, new_rows: float, chosen: float) -> float:
        """Examples that its epochs train on if all rounds run to their end; arguments as for :meth:`rows`."""
        return self.most_rounds * plan.epochs_of(self) * self.rows(new_rows, chosen)

    def scanned_examples(self, plan: Plan, new_rows: float, chosen: float) -> float:
        """Examples that the step on entering looks at, in units of a forward and backward pass."""
        return self.sampled(math.ceil(self.rows(new_rows, chosen)))

    def growth_key(self, plan: Plan) -> dict[str, Any]:
        """What the gradient sums of this phase depend on, if it opens a plan, besides parent, data and seed: updates
        from one parent that agree in it can share them. Empty: it sums none."""
        return {}
