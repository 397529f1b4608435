"""Plans: the ordered phases of an update with their settings, as plain, printable, sweepable data.

Settings that several phases share stand once, on the plan; a phase may give its own. ``plan.alpha=0.2`` therefore
changes every growth phase that does not say otherwise, ``plan.phases.0.alpha=0.2`` only the first.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from raygp.sparse import Distribution

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
_GROWTH_EXAMPLES = 512


class Settings(BaseModel):
    """Base of all settings: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class OptimizerSettings(Settings):
    """The optimizer of an update; one for all its phases, so momentum carries over."""

    name: Literal["sgd", "adam", "adamw"] = "sgd"
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.9
    """SGD's momentum; Adam's first decay rate."""
    nesterov: bool = True
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.0


class SelectionSettings(Settings):
    """Which examples of a part of the data the phases over ``replay + arrival`` train on."""

    share: Share = 1.0
    """Part of the examples that is chosen."""
    hard: Share = 1.0
    """Part of the chosen examples that is taken by highest loss under the model; the rest is random."""
    scan: Share = 1.0
    """Part of the examples (random) whose loss is looked at. A scanned example is charged as a third of one."""


class DistillationSettings(Settings):
    """Learning from the parent's answers beside the labels (Hinton, Vinyals and Dean, arXiv 1503.02531; for updates Li
    and Hoiem, arXiv 1606.09282): the training loss of an example is (1 - weight) * its own + weight * T^2 * the
    divergence of the model's outputs from the parent's, both softened by the temperature T, over the classes that the
    parent knows. The parent's answers are charged as a third of an example each. An initial synthesis has no parent
    and does not use it."""

    weight: Share = 0.0
    """Part of the loss that is the parent's; 0 does without the parent."""
    fades_at: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """New share (the arrival's part of all training examples) at which nothing is left of the weight: it falls to there
    in a straight line, since a parent that has seen little holds an update back. None: the same for all arrivals."""
    temperature: Positive = 2.0

    def weight_for(self, old_rows: int, new_rows: int) -> float:
        """The weight in an update, rounded to hundredths: less is not worth the parent's answers.

        Args:
            old_rows: training examples that the parent has seen.
            new_rows: those of the arrival.
        """
        if self.fades_at is None:
            return self.weight
        new_share = new_rows / max(1, old_rows + new_rows)
        return round(self.weight * max(0.0, 1.0 - new_share / self.fades_at), 2)


class _Phase(Settings):
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

    @model_validator(mode="after")
    def _patience_needs_constant(self) -> _Phase:
        if self.patience is not None and self.schedule == "cycle":
            raise ValueError("patience needs schedule: constant (a cycle cut short would not have annealed)")
        return self


class GrowPhase(_Phase):
    """Activate dormant connections by gradient (:mod:`raygp.sparse.growth`), then train."""

    kind: Literal["grow-new", "grow-all"]
    """grow-new: on the arrival's data only. grow-all: on replay and arrival."""
    alpha: Share | None = None
    """Growth ratio: part of a layer's dormant connections that is activated. None: the plan's."""
    sample: Annotated[float, Field(gt=0.0, le=1.0)] = 0.02
    """Part of the phase's data that the growth pass sums gradients over; never fewer than 512 examples if there are."""
    eta: Positive | None = None
    """Step size of a grown connection's first value. None: a fiftieth of the phase's learning rate. Many connections
    step at once, so a whole learning rate can throw a trained network off."""

    def sampled(self, rows: int) -> int:
        """How many of ``rows`` examples the growth pass sums gradients over."""
        return min(rows, max(_GROWTH_EXAMPLES, math.ceil(self.sample * rows)))


class PrunePhase(_Phase):
    """Remove the weakest connections, and train."""

    kind: Literal["prune-recoverable", "prune-permanent"]
    density: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """Density of the whole model at which the phase ends. None: the plan's."""
    gradual: bool = False
    """Spread the removal over the phase's steps (cubic schedule) instead of one cut before training."""
    start: Share = 0.1
    """Gradual: part of the phase's steps before the first removal."""
    end: Share = 0.7
    """Gradual: part of the phase's steps after which the density is reached."""
    removals: Annotated[int, Field(ge=1)] = 20
    """Gradual: how many removals the way down is made of."""
    beta: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    """Pruning ratio: part of the active connections that one round removes. None: the plan's."""
    rounds: Annotated[int, Field(ge=1)] = 1
    """At most so many rounds of cut and training (not gradual). Halved attempts count."""
    beta_floor: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.02
    """Recoverable: give up when the halved pruning ratio falls under this."""
    tolerance: Share | None = None
    """How far validation accuracy may fall in a round, as a fraction (0.002 = 0.2 points). None: the plan's."""

    @model_validator(mode="after")
    def _gradual_makes_sense(self) -> PrunePhase:
        if self.gradual and self.start >= self.end:
            raise ValueError(f"gradual pruning must start before it ends (start {self.start}, end {self.end})")
        if self.gradual and self.kind == "prune-recoverable":
            raise ValueError("gradual pruning is permanent: use kind: prune-permanent, or gradual: false")
        return self


Phase = Annotated[GrowPhase | PrunePhase, Field(discriminator="kind")]


class Plan(Settings):
    """What one update does to a model. Plans are compared, stored in cards and swept as data."""

    name: str = "custom"
    phases: tuple[Phase, ...] = Field(min_length=1)
    batch_size: Annotated[int, Field(ge=1)] = 128
    """Examples of a global batch, shared out over the workers."""
    epochs: Annotated[int, Field(ge=0)] = 3
    """Epochs of a phase that does not give its own."""
    lr: Positive = 0.1
    """Peak learning rate of a phase that does not give its own."""
    alpha: Share = 0.3
    """Growth ratio of a phase that does not give its own."""
    beta: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.3
    """Pruning ratio of a phase that does not give its own."""
    density: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1
    """Final density of a pruning phase that does not give its own."""
    tolerance: Share = 0.002
    """Fall in validation accuracy that a pruning round may cost, as a fraction."""
    distribution: Distribution = "erk"
    """How a density is shared out over layers."""
    seed_density: Annotated[float, Field(gt=0.0, le=1.0)] = 0.2
    """Density of the random network that an initial synthesis starts from; updates do not use it."""
    shrink: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """What an update multiplies the parent's parameters by before its first training step; 1.0 leaves them. A network
    that fits its data closely learns further data worse than a fresh one would; smaller weights let go (Ash and Adams,
    arXiv 1910.08475, without the noise that they add). An initial synthesis does not use it."""
    optimizer: OptimizerSettings = OptimizerSettings()
    replay: SelectionSettings = SelectionSettings(share=0.1, hard=0.7)
    """Which of the earlier arrivals' examples are seen again."""
    arrival: SelectionSettings = SelectionSettings()
    """Which of the new arrival's examples are trained on. Growth on the arrival alone (grow-new) sees all of it."""
    distillation: DistillationSettings = DistillationSettings()
    """How much is learnt from the parent's answers."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16: forward and backward passes in bfloat16 where that is safe (autocast); weights stay float32."""
    clip_norm: Positive | None = None
    """Largest gradient norm, if any."""

    def to_yaml(self) -> str:
        """The plan as YAML; :meth:`from_yaml` of it gives an equal plan."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)

    @classmethod
    def from_yaml(cls, text: str) -> Plan:
        """A plan from YAML.

        Raises:
            pydantic.ValidationError: naming each field that is wrong.
            yaml.YAMLError: the text is not YAML.
        """
        return cls.model_validate(yaml.safe_load(text))

    def epochs_of(self, phase: GrowPhase | PrunePhase) -> int:
        """Training epochs of one round of ``phase``."""
        return self.epochs if phase.epochs is None else phase.epochs

    @property
    def most_epochs(self) -> int:
        """Training epochs of the whole plan if every phase runs all its rounds to the end."""
        rounds = [phase.rounds if isinstance(phase, PrunePhase) and not phase.gradual else 1 for phase in self.phases]
        return sum(count * self.epochs_of(phase) for count, phase in zip(rounds, self.phases, strict=True))

    def lr_of(self, phase: GrowPhase | PrunePhase) -> float:
        """Peak learning rate of ``phase``."""
        return phase.lr or self.lr

    def alpha_of(self, phase: GrowPhase) -> float:
        """Growth ratio of ``phase``."""
        return self.alpha if phase.alpha is None else phase.alpha

    def eta_of(self, phase: GrowPhase) -> float:
        """First step of connections that ``phase`` grows."""
        return phase.eta or self.lr_of(phase) / 50

    def density_of(self, phase: PrunePhase) -> float:
        """Density at which ``phase`` ends."""
        return phase.density or self.density

    def beta_of(self, phase: PrunePhase) -> float:
        """Pruning ratio that ``phase`` starts with."""
        return phase.beta or self.beta

    def tolerance_of(self, phase: PrunePhase) -> float:
        """Fall in validation accuracy that a round of ``phase`` may cost."""
        return self.tolerance if phase.tolerance is None else phase.tolerance
