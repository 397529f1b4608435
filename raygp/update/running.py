"""What phases see of a running update and do to it: the model with its masks, between training steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from raygp.errors import TrainingError
from raygp.record import PhaseRecord
from raygp.sparse import (
    grow,
    pack_model,
    pack_optimizer,
    prune,
    unpack_model,
    unpack_optimizer,
    verify_masks,
)
from raygp.update.criteria import GROWTH_CRITERIA, PRUNING_CRITERIA
from raygp.update.examples import ExampleChoice
from raygp.update.learner import Learner
from raygp.update.plan import Plan
from raygp.update.seeds import torch_generator
from raygp.update.shared import SharedWork
from raygp.update.state import Cursor, Tensors, UpdateState


class RunningUpdate:
    """The update as phases see it (:class:`raygp.update.phases.Running`).

    Every method is collective: all ranks call it at the same place, and hold the same masks and weights afterwards.
    """

    def __init__(
        self, plan: Plan, learner: Learner, examples: ExampleChoice, seed: int, shared: SharedWork | None = None
    ) -> None:
        """Nothing is done yet.

        Args:
            plan: that is carried out.
            learner: with the model.
            examples: which examples the phases see.
            seed: of random growth and pruning.
            shared: results of passes over the parent that are known.
        """
        self.plan, self.learner, self.masks = plan, learner, learner.masks
        self.state = UpdateState()
        self.snapshot: Tensors | None = None
        """Model and optimizer before the round, while a round may be taken back."""
        self.known_accuracy: float | None = None
        """At the last evaluation of this process (:attr:`raygp.update.measuring.Measured.known_accuracy`)."""
        self._examples, self._seed, self._shared = examples, seed, shared
        self._bounds = learner.task.density_bounds

    @property
    def cursor(self) -> Cursor:
        """The place in the plan."""
        return self.state.cursor

    @property
    def phase_record(self) -> PhaseRecord:
        """What the running phase has done so far."""
        return self.state.record.phases[-1]

    @property
    def val_accuracy(self) -> float:
        """At the last evaluation, 0 to 1."""
        return self.state.record.val_accuracy

    @property
    def density(self) -> float:
        """Of the whole model."""
        return self.masks.density

    @property
    def total_connections(self) -> int:
        """Of the whole model, active or not."""
        return self.masks.total

    # -- steps between training steps ---------------------------------------------------------------------------------

    def grow(self, alpha: float, eta: float, sample: Callable[[int], int]) -> None:
        """Sum gradients over a sample of the phase's data, and activate what they ask for.

        Raises:
            TrainingError: the gradient is not finite, or there is no example.
        """
        if self.masks.active == self.masks.total:
            return  # Such as an adopted model: nothing is dormant, so nobody needs the gradients.
        number, gradient = self.cursor.phase, None
        if self._shared and number == 0:
            gradient = self._shared.gradient_for(self.plan, self.learner.device)  # Shared are those of the parent.
        if gradient is None:
            gradient = self.learner.gradient_sum(self._examples.growth_sample(number, sample))
        generator = torch_generator(self._seed, "growth", number)
        criterion = GROWTH_CRITERIA.get(self.plan.growth)
        try:
            grown = grow(self.masks, gradient, alpha, eta, self.learner.optimizer, self._bounds, criterion, generator)
        except ValueError as error:
            raise TrainingError(str(error)) from error
        self.phase_record.grown += sum(grown.values())
        self.verify()

    def prune(self, density: float) -> None:
        """Remove connections until the model has this density.

        Raises:
            TrainingError: a layer would be left without any connection.
        """
        cursor, plan = self.cursor, self.plan
        generator = torch_generator(self._seed, "pruning", cursor.phase, cursor.round, cursor.removals)
        criterion = PRUNING_CRITERIA.get(plan.pruning)
        optimizer = self.learner.optimizer
        removed = prune(self.masks, density, plan.distribution, optimizer, self._bounds, criterion, generator)
        for layer in self.masks.layers:
            if removed[layer.name] and not bool(self.masks.mask(layer).any()):
                raise TrainingError(
                    f"{self.phase_record.kind} to density {density:.3g} leaves layer {layer.name} none of its "
                    f"{self.masks.mask(layer).numel():,} connections: raise plan.density, or try another "
                    f"plan.distribution than {plan.distribution}"
                )
        count = sum(removed.values())
        self.phase_record.pruned += count
        cursor.pruned_in_round += count
        self.verify()

    def keep_snapshot(self) -> None:
        """Put model and optimizer aside as they are now."""
        self.snapshot = self.pack()

    def restore_snapshot(self) -> None:
        """Put everything back as it was at :meth:`keep_snapshot`, and evaluate."""
        assert self.snapshot is not None
        self.unpack(self.snapshot)
        self.verify()
        self.evaluate()  # The accuracy that is on record was that of the round which is taken back.
        self.snapshot = None

    def drop_snapshot(self) -> None:
        """Forget the snapshot, if there is one."""
        self.snapshot = None

    # -- what the walk through the plan needs too ---------------------------------------------------------------------

    def evaluate(self) -> None:
        """Measure accuracy on validation."""
        measured = self.learner.measure("val")
        self.state.record.val_accuracy, self.known_accuracy = measured.accuracy, measured.known_accuracy

    def verify(self) -> None:
        """Compare the masks of all ranks.

        Raises:
            raygp.sparse.MaskDisagreement: they differ.
        """
        self.learner.ledger.reduced_bytes += verify_masks(self.masks) * self.learner.world_size

    def pack(self) -> Tensors:
        """Model and optimizer in compact form."""
        learner = self.learner
        return pack_model(learner.model, self.masks) | pack_optimizer(learner.optimizer, learner.model, self.masks)

    def unpack(self, tensors: Mapping[str, Tensor]) -> None:
        """Load what :meth:`pack` gave."""
        learner = self.learner
        unpack_model(tensors, learner.model, self.masks)
        unpack_optimizer(tensors, learner.optimizer, learner.model, self.masks)
