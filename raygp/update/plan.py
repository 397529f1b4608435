"""Plans: the ordered phases of an update with their settings, as plain, printable, sweepable data.

Settings that several phases share stand once, on the plan; a phase may give its own. ``plan.alpha=0.2`` therefore
changes every growth phase that does not say otherwise, ``plan.phases.0.alpha=0.2`` only the first.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, field_validator

from raygp.registry import Registry
from raygp.sparse.distribution import Distribution
from raygp.update.criteria import GROWTH_CRITERIA, PRUNING_CRITERIA
from raygp.update.fields import Density, Positive, PruningRatio, Settings, Share, by_registry
from raygp.update.fitting import Sizes, fit
from raygp.update.optimizers import OPTIMIZERS, OptimizerSettings
from raygp.update.optimizers.sgd import Sgd
from raygp.update.phases import PHASES, Phase

_YOUNGER: dict[str, Any] = {"growth": "gradient", "pruning": "magnitude", "fit": None}
"""Settings that raygp 0.1.0 did not have, with the values that do what it did."""

_YOUNGER_INSIDE: dict[str, dict[str, Any]] = {
    "distillation": {"replay_only": False}, "replay": {"leave_out": 0.0, "by_class": "never"},
    "arrival": {"leave_out": 0.0},
}  # fmt: skip
"""The same inside settings of a plan."""


class SelectionSettings(Settings):
    """Which examples of a part of the data the phases over ``replay + arrival`` train on."""

    share: Share = 1.0
    """Part of the examples that is chosen."""
    hard: Share = 1.0
    """Part of the chosen examples that is taken by highest loss under the model; the rest is random."""
    scan: Share = 1.0
    """Part of the examples (random) whose loss is looked at. A scanned example is charged as a third of one."""
    leave_out: Share | Literal["auto"] = 0.0
    """Part of the scanned examples, those with the highest losses, that is left out before the hardest are taken: wrong
    labels are the hardest of all. "auto": as many as the parent gets wrong of earlier examples, which it was trained on
    (loss above ln 2): it did not learn them then."""

    @property
    def by_loss(self) -> bool:
        """Whether losses have to be looked at: some of the examples are chosen, and some of those by loss."""
        return 0.0 < self.share < 1.0 and self.hard > 0.0


class ReplaySettings(SelectionSettings):
    """Which of the earlier arrivals' examples are seen again."""

    by_class: Literal["auto", "always", "never"] = "never"
    """Draw the random part by class, so that replay and arrival together have the class shares of all data, as far as
    ``share`` allows. "auto": where the arrival brings classes in other shares than they had, by more than chance."""


class DistillationSettings(Settings):
    """Learning from the parent's answers beside the labels (Hinton, Vinyals and Dean, arXiv 1503.02531; for updates Li
    and Hoiem, arXiv 1606.09282).

    The training loss of an example is ``(1 - weight) * own + weight * T^2 * divergence``: the divergence of the model's
    outputs from the parent's, both softened by the temperature T, over the classes that the parent knows. The parent's
    answers are charged as a third of an example each. An initial synthesis has no parent and does not use this."""

    weight: Share = 0.0
    """Part of the loss that is the parent's; 0 does without the parent."""
    fades_at: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """New share (the arrival's part of all training examples) at which nothing is left of the weight. It falls to there
    in a straight line, since a parent that has seen little holds an update back. None: the same for all arrivals."""
    replay_only: bool = False
    """Learn from the parent's answers to replayed examples only. What it says of the arrival may be wrong there: the
    data may have shifted, or classes may be new."""
    temperature: Positive = 2.0
    """T: divides the logits of both; above 1 it brings out what the parent thinks of the other classes."""

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


class FitSettings(Settings):
    """How a plan suits itself to the sizes of an arrival (:mod:`raygp.update.fitting`)."""

    replay_ratio: Positive | None = 1.0
    """So many earlier examples are replayed for each of the arrival, if that is more than ``least_replay``. None: the
    plan's share of all of them."""
    least_replay: Share = 0.5
    """Part of the earlier examples that is replayed however small the arrival is."""
    full_share: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    """New share (the arrival's part of all training examples) from which on the learning rate is the plan's."""
    full_error: Annotated[float, Field(gt=0.0, le=1.0)] = 0.2
    """Error of the parent on validation from which on it is the plan's, and all earlier examples are replayed."""
    longer: Annotated[float, Field(ge=1.0)] = 1.67
    """The plan's epochs are multiplied by this where classes are new, or an arrival surprises the parent."""
    min_steps: Annotated[int, Field(ge=0)] = 80
    """Training steps of the plan's epochs together, below which batches get smaller, then more is replayed, then there
    are more epochs."""
    min_batch: Annotated[int, Field(ge=1)] = 32
    """Batches do not get smaller than this."""
    most_epochs: Annotated[float, Field(ge=1.0)] = 4.0
    """Epochs get no more than so many times the plan's for want of steps."""


class Plan(Settings):
    """What one update does to a model. Plans are compared, stored in cards and swept as data."""

    name: str = "custom"
    """What the plan is called in tables and cards. A named plan that was changed is called custom."""
    phases: tuple[SerializeAsAny[Annotated[Phase, BeforeValidator(by_registry(PHASES, "kind"))]], ...] = Field(
        min_length=1
    )
    """In the order in which they run; each is of one of the kinds below."""
    batch_size: Annotated[int, Field(ge=1)] = 128
    """Examples of a global batch, shared out over the workers."""
    epochs: Annotated[int, Field(ge=0)] = 3
    """Epochs of a phase that does not give its own."""
    lr: Positive = 0.1
    """Peak learning rate of a phase that does not give its own."""
    alpha: Share = 0.3
    """Growth ratio of a phase that does not give its own."""
    growth: str = "gradient"
    """Growth criterion: which dormant connections wake up (:mod:`raygp.sparse.criteria`)."""
    beta: PruningRatio = 0.3
    """Pruning ratio of a phase that does not give its own."""
    pruning: str = "magnitude"
    """Pruning criterion: which active connections go first (:mod:`raygp.sparse.criteria`)."""
    density: Density = 0.1
    """Final density of a pruning phase that does not give its own."""
    tolerance: Share = 0.002
    """Fall in validation accuracy that a pruning round may cost, as a fraction."""
    distribution: Distribution = "erk"
    """How a density is shared out over layers."""
    seed_density: Density = 0.2
    """Density of the random network that an initial synthesis starts from; updates do not use it."""
    shrink: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """What an update multiplies the parent's parameters by before its first training step; 1.0 leaves them. A network
    that fits its data closely learns further data worse than a fresh one would; smaller weights let go (Ash and Adams,
    arXiv 1910.08475, without the noise that they add). An initial synthesis does not use it."""
    optimizer: SerializeAsAny[
        Annotated[OptimizerSettings, BeforeValidator(by_registry(OPTIMIZERS, "name", default="sgd"))]
    ] = Sgd()
    """The optimizer of an update; one for all its phases, so momentum carries over."""
    replay: ReplaySettings = ReplaySettings(share=0.1, hard=0.7)
    """Which of the earlier arrivals' examples are seen again."""
    arrival: SelectionSettings = SelectionSettings()
    """Which of the new arrival's examples are trained on. Growth on the arrival alone (grow-new) sees all of it."""
    distillation: DistillationSettings = DistillationSettings()
    """How much is learnt from the parent's answers."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16: forward and backward passes in bfloat16 where that is safe (autocast); weights stay float32."""
    clip_norm: Positive | None = None
    """Largest gradient norm, if any."""
    fit: FitSettings | None = None
    """How the plan suits itself to the sizes of an arrival. None: it is carried out as it is. An initial synthesis does
    not use it."""

    @field_validator("growth")
    @classmethod
    def _growth_is_known(cls, name: str) -> str:
        return _known(GROWTH_CRITERIA, name)

    @field_validator("pruning")
    @classmethod
    def _pruning_is_known(cls, name: str) -> str:
        return _known(PRUNING_CRITERIA, name)

    def identity(self) -> dict[str, Any]:
        """What makes this plan this plan, as plain data. Settings that were added later and have the value that does
        what was done before are left out, so that what an earlier raygp began is known again."""
        fields = self.model_dump(mode="json")
        for part, younger in _YOUNGER_INSIDE.items():
            fields[part] = _without(fields[part], younger)
        return _without(fields, _YOUNGER)

    def epochs_of(self, phase: Phase) -> int:
        """Training epochs of one round of ``phase``."""
        return self.epochs if phase.epochs is None else phase.epochs

    @property
    def most_epochs(self) -> int:
        """Training epochs of the whole plan if every phase runs all its rounds to the end."""
        return sum(phase.most_rounds * self.epochs_of(phase) for phase in self.phases)

    def lr_of(self, phase: Phase) -> float:
        """Peak learning rate of ``phase``."""
        return phase.lr or self.lr

    def fitted(self, sizes: Sizes) -> Plan:
        """The plan for an arrival of these sizes: see :func:`raygp.update.fitting.fit`."""
        return fit(self, sizes)

    @property
    def growth_key(self) -> dict[str, Any]:
        """What the gradient sums of the first phase depend on (:meth:`raygp.update.phases.Phase.growth_key`)."""
        return self.phases[0].growth_key(self)


def _without(fields: dict[str, Any], younger: dict[str, Any]) -> dict[str, Any]:
    """The fields without the younger ones that have the value which does what was done before there were any."""
    return {key: value for key, value in fields.items() if key not in younger or value != younger[key]}


def _known(registry: Registry[Any], name: str) -> str:
    if name not in registry:
        known = ", ".join(registry.names())
        raise ValueError(f"no {registry.kind} is called '{name}'{registry.suggestion(name)}; known are {known}")
    return name
