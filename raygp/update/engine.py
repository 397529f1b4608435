"""One update, from parent to candidate: carries out a plan, phase by phase.

The whole of it, as every rank runs it::

    evaluate the parent on validation, choose examples        (not for an initial synthesis)
    for each phase of the plan:
        grow-*   sum gradients over a sample of the phase's data, all-reduce once, grow, verify masks
        prune-*  one-shot:  snapshot (recoverable), cut, verify masks
                 gradual:   cut a little between training steps, verify masks after each cut
        for each epoch of the phase:
            train on the phase's data; evaluate on validation; checkpoint
        prune-*  one-shot: keep the round, or restore the snapshot and halve the pruning ratio; next round or phase
            a phase that ruined the model ends the update: rejected
    judge at the gate; evaluate on test if it passed

What each phase does stands with the phase (:mod:`raygp.update.phases`); here is what is the same for all.

Every rank holds the same masks and weights at all times. A position in this program is a :class:`Cursor`, so a run can
go on from any checkpoint.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from raygp.data.batches import TrainingData
from raygp.errors import TrainingError
from raygp.events import EpochEnded, InPhase, PhaseEnded, PhaseStarted, Resumed, StepsDone
from raygp.record import EpochRecord, PhaseRecord, UpdateRecord
from raygp.sparse import (
    grow,
    pack_model,
    pack_optimizer,
    prune,
    unpack_model,
    unpack_optimizer,
    verify_masks,
)
from raygp.update.checkpoint_clock import CheckpointClock
from raygp.update.criteria import GROWTH_CRITERIA, PRUNING_CRITERIA
from raygp.update.examples import ExampleChoice
from raygp.update.gate import Verdict, collapsed, judge, val_noise
from raygp.update.learner import EpochSteps, Learner, metric_values
from raygp.update.observer import Observer, Silent
from raygp.update.outcome import Outcome
from raygp.update.phases import Next, Phase
from raygp.update.plan import Plan
from raygp.update.seeds import torch_generator
from raygp.update.shared import SharedWork
from raygp.update.state import Checkpoint, Cursor, Tensors, UpdateState


class Update:
    """Carries out one plan on one learner. It is what phases see as :class:`raygp.update.phases.Running`."""

    def __init__(
        self,
        plan: Plan,
        learner: Learner,
        data: TrainingData,
        *,
        seed: int,
        has_parent: bool,
        gate_tolerance: float = 0.002,
        gate_confidence: float = 0.95,
        observer: Observer | None = None,
        shared: SharedWork | None = None,
        checkpoint_seconds: float | None = None,
    ) -> None:
        """Nothing is done yet.

        Args:
            plan: what to do.
            learner: with the parent's model, or a new one.
            data: of parent and arrival.
            seed: of every draw.
            has_parent: whether this is an update or an initial synthesis.
            gate_tolerance: how far the candidate's validation accuracy may lie below its parent's.
            gate_confidence: of the allowance for a small validation split (:func:`raygp.update.gate.val_noise`).
            observer: told of events, offered checkpoints.
            shared: results of passes over the parent that are known.
            checkpoint_seconds: offer a checkpoint inside an epoch if the last is so old, or the observer says that
                these workers are leaving; 0: after every step; None: at the ends of epochs only.
        """
        self.plan, self.learner, self.data, self.seed = plan, learner, data, seed
        self._shared = shared
        self.has_parent, self.gate_tolerance, self.gate_confidence = has_parent, gate_tolerance, gate_confidence
        self.observer: Observer = observer or Silent()
        self.state = UpdateState()
        self.masks = learner.masks
        self._bounds = learner.task.density_bounds
        self._snapshot: Tensors | None = None
        self._examples = ExampleChoice(plan, learner, data, seed, shared)
        self._parent_scores: np.ndarray | None = None
        self._clock = CheckpointClock(checkpoint_seconds, learner, self.observer)
        self._buffers: Tensors = {}
        self._seconds_before = 0.0
        self._resumed = False
        self._started = time.perf_counter()

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from ``checkpoint`` instead of from the start.

        Raises:
            TrainingError: the masks in it are not those that its digest names.
        """
        self.state = copy.deepcopy(checkpoint.state)
        self._restore(checkpoint.tensors)
        if self.masks.digest() != self.state.record.mask_digest:
            raise TrainingError("the checkpoint's masks do not match their digest: delete its folder, run again")
        self._snapshot = _with_prefix(checkpoint.tensors, "snapshot/") or None
        self.learner.load_rank_buffers(_with_prefix(checkpoint.tensors, "buffers/"))
        if "chosen" in checkpoint.tensors:
            self._examples.chosen = checkpoint.tensors["chosen"].numpy()
        if "parent-scores" in checkpoint.tensors:
            self._parent_scores = checkpoint.tensors["parent-scores"].numpy()
        self.learner.ledger = self.state.record.ledger
        self._seconds_before = self.state.record.ledger.worker_seconds
        self._resumed = True

    def run(self) -> Outcome:
        """All that is left of the plan, then the gate.

        Raises:
            TrainingError: training went wrong; nothing outside this process has changed.
            raygp.sparse.MaskDisagreement: the workers' masks differ.
        """
        self._started = time.perf_counter()
        verify_masks(self.masks)
        self._look_at_the_parent()
        while self.cursor.phase < len(self.plan.phases):
            phase = self.plan.phases[self.cursor.phase]
            if self._resumed:
                self._tell(Resumed, phase, step=self.cursor.step)
                self._resumed = False
            if self.cursor.stage == "enter":
                self._enter(phase)
            self._train(phase)
            self._leave_round(phase)
            if diverged := self._diverged(phase):
                return self._outcome(diverged)
        return self._outcome()

    @property
    def parent_val_accuracy(self) -> float | None:
        """The parent's accuracy on validation; None if there is none, or :meth:`run` has not measured it yet."""
        return None if self._parent_scores is None else metric_values(self._parent_scores)[0]

    # -- what phases see and do (raygp.update.phases.Running) ---------------------------------------------------------

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

    def grow(self, alpha: float, eta: float, sample: Callable[[int], int]) -> None:
        """Sum gradients over a sample of the phase's data, and activate what they ask for."""
        number, gradient = self.cursor.phase, None
        if self._shared and number == 0:
            gradient = self._shared.gradient_for(self.plan, self.learner.device)
        if gradient is None:
            gradient = self.learner.gradient_sum(self._examples.growth_sample(number, sample))
        generator = torch_generator(self.seed, "growth", number)
        criterion = GROWTH_CRITERIA.get(self.plan.growth)
        try:
            grown = grow(self.masks, gradient, alpha, eta, self.learner.optimizer, self._bounds, criterion, generator)
        except ValueError as error:
            raise TrainingError(str(error)) from error
        self.phase_record.grown += sum(grown.values())
        self._verify()

    def prune(self, density: float) -> None:
        """Remove connections until the model has this density."""
        cursor, plan = self.cursor, self.plan
        generator = torch_generator(self.seed, "pruning", cursor.phase, cursor.round, cursor.removals)
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
        self._verify()

    def keep_snapshot(self) -> None:
        """Put model and optimizer aside as they are now."""
        self._snapshot = self._pack()

    def restore_snapshot(self) -> None:
        """Put everything back as it was at :meth:`keep_snapshot`, and evaluate."""
        assert self._snapshot is not None
        self._restore(self._snapshot)
        self._verify()
        self._evaluate()
        self._snapshot = None

    def drop_snapshot(self) -> None:
        """Forget the snapshot, if there is one."""
        self._snapshot = None

    # -- one round of a phase -----------------------------------------------------------------------------------------

    def _look_at_the_parent(self) -> None:
        """Its scores on validation, and the choice of examples by its losses, unless a checkpoint has them."""
        if not self.has_parent or self._parent_scores is not None:
            return
        self._parent_scores = self._shared.parent_scores if self._shared else self.learner.scores("val")
        self.state.record.val_accuracy = metric_values(self._parent_scores)[0]
        # By the parent's losses: what phases do to the model later has no say in it.
        if not all(phase.on_arrival_alone for phase in self.plan.phases):
            self._examples.choose()

    def _enter(self, phase: Phase) -> None:
        """A round's growth or cut."""
        cursor = self.cursor
        if cursor.round == 0:
            self.state.record.phases.append(PhaseRecord(kind=phase.kind))
            cursor.reference = self.val_accuracy
        cursor.start_density = self.masks.density
        cursor.best, cursor.waited, cursor.pruned_in_round, cursor.removals = -1.0, 0, 0, 0
        phase.enter(self)
        cursor.stage = "train"
        self._tell(PhaseStarted, phase)

    def _train(self, phase: Phase) -> None:
        """What is left of a round's epochs, each with its evaluation and checkpoint."""
        cursor, epochs = self.cursor, self.plan.epochs_of(phase)
        if epochs and self.has_parent and (cursor.epochs_total, cursor.step) == (0, 0):
            self.learner.shrink(self.plan.shrink)
        while cursor.epoch < epochs:
            loss = self._train_epoch(phase, epochs)
            phase.after_epoch(self, (cursor.epoch + 1) / epochs)
            cursor.epoch += 1
            cursor.epochs_total += 1
            self._evaluate()
            self._end_epoch(phase, loss)
            if self._waited_long_enough(phase):
                self.phase_record.stopped = "no better validation accuracy"
                cursor.epoch = epochs
            self._offer_checkpoint()
        if epochs == 0:
            phase.after_epoch(self, 1.0)
            self._evaluate()

    def _train_epoch(self, phase: Phase, epochs: int) -> float:
        """One epoch, or what is left of it; gives its mean loss."""
        cursor, peak = self.cursor, self.plan.lr_of(phase)

        def before_step(done_of_epoch: float) -> None:
            done = (cursor.epoch + done_of_epoch) / epochs
            self.learner.set_lr(phase.learning_rate(peak, done))
            phase.before_step(self, done)

        loss = self.learner.train_epoch(
            self._examples.ids(phase),
            cursor.epochs_total,
            before_step=before_step,
            watch=lambda steps: self._tell_steps(phase, steps),
            after_step=self._after_step,
            first_step=cursor.step,
            loss_sum=cursor.loss_sum,
            loss_steps=cursor.loss_steps,
        )
        cursor.step, cursor.loss_sum, cursor.loss_steps = 0, 0.0, 0
        return loss

    def _after_step(self, done: int, steps: int) -> None:
        """Offer a checkpoint inside the epoch if one is due; at its end there is one in any case."""
        if done < steps and self._clock.due():
            cursor, learner = self.cursor, self.learner
            cursor.step, cursor.loss_sum, cursor.loss_steps = done, learner.loss_sum, learner.loss_steps
            self.learner.charge_traffic()
            self._buffers = self.learner.rank_buffers()
            self._offer_checkpoint()
            self._buffers = {}

    def _end_epoch(self, phase: Phase, loss: float) -> None:
        """Write the epoch into the record, and tell of it."""
        self._charge_seconds()
        record, ledger = self.phase_record, self.learner.ledger
        record.epochs += 1
        epoch = EpochRecord(
            round=self.cursor.round,
            loss=loss,
            val_accuracy=self.val_accuracy,
            densities=self.masks.densities(),
            grown=record.grown - sum(earlier.grown for earlier in record.history),
            # What was restored had been pruned, and is in the history of the round that was taken back.
            pruned=record.pruned + record.restored - sum(earlier.pruned for earlier in record.history),
            examples=ledger.examples,
            seconds=ledger.worker_seconds,
        )
        record.history.append(epoch)
        self._tell(EpochEnded, phase, record=epoch, ledger=copy.copy(ledger))

    def _waited_long_enough(self, phase: Phase) -> bool:
        """Whether the round has gone on for as long without a better accuracy as the phase is patient."""
        cursor = self.cursor
        if self.val_accuracy > cursor.best:
            cursor.best, cursor.waited = self.val_accuracy, 0
        else:
            cursor.waited += 1
        return phase.patience is not None and cursor.waited >= phase.patience

    def _offer_checkpoint(self) -> None:
        self.observer.checkpoint(self.checkpoint)
        self._clock.restart()

    def _leave_round(self, phase: Phase) -> None:
        """Let the phase judge the round, and move the cursor on."""
        cursor, record = self.cursor, self.phase_record
        cursor.stage, cursor.epoch = "enter", 0
        cursor.round += 1
        follows = phase.leave(self)
        record.density_after, record.val_accuracy = self.masks.density, self.val_accuracy
        if follows is Next.PHASE:
            self._tell(PhaseEnded, phase, record=record.model_copy(deep=True))
            cursor.phase, cursor.round = cursor.phase + 1, 0

    def _diverged(self, phase: Phase) -> Verdict | None:
        """The refusal of a candidate that a finished phase has ruined: the phases after it would be wasted."""
        cursor, record = self.cursor, self.phase_record
        # Training on the arrival alone may forget the rest, which replay brings back.
        if cursor.round > 0 or record.epochs == 0 or phase.on_arrival_alone:
            return None
        earlier = [other.val_accuracy for other in self.state.record.phases[:-1]]
        best = max(self.parent_val_accuracy or 0.0, cursor.best, *earlier)
        if not collapsed(record.val_accuracy, best, lambda: self.learner.guessing("val")):
            return None
        where = f"phase {cursor.phase} of {len(self.plan.phases)} ({record.kind})"
        advice = "try a lower plan.lr, or plan.clip_norm=1"
        if self.has_parent and self.plan.shrink < 1.0:
            advice += f"; the parent was shrunk to {self.plan.shrink:g}: more plan.epochs, or plan.shrink=1"
        return Verdict(
            False,
            f"rejected: {where} diverged, validation {record.val_accuracy:.2%} after {best:.2%}: {advice}",
        )

    # -- state and results --------------------------------------------------------------------------------------------

    def shared_work(self) -> SharedWork:
        """What updates from this parent have in common, computed and charged here. Nothing is trained.

        Losses are computed where the plan chooses by all of them.
        """
        scores, losses = self.learner.scores("val"), self._examples.all_losses()
        # The growth sample may be chosen by these losses.
        self._examples.known_losses = losses
        gradient = None
        if self.plan.growth_key:
            gradient = self.learner.gradient_sum(self._examples.growth_sample(0, self.plan.phases[0].sampled))
        self._charge_seconds()
        return SharedWork(self.plan.growth_key, scores, gradient, losses, self.learner.ledger.to_dict())

    def checkpoint(self) -> Checkpoint:
        """The update as it stands, between two steps."""
        self._charge_seconds()
        record = self.state.record
        record.ledger, record.mask_digest = self.learner.ledger, self.masks.digest()
        tensors = self._pack()
        tensors |= {f"snapshot/{key}": value for key, value in (self._snapshot or {}).items()}
        tensors |= {f"buffers/{key}": value for key, value in self._buffers.items()}
        if self._examples.chosen is not None:
            tensors["chosen"] = torch.from_numpy(self._examples.chosen)
        if self._parent_scores is not None:
            tensors["parent-scores"] = torch.from_numpy(self._parent_scores)
        return Checkpoint(copy.deepcopy(self.state), tensors)

    def _evaluate(self) -> None:
        self.state.record.val_accuracy = self.learner.accuracy("val")

    def _verify(self) -> None:
        self.learner.ledger.reduced_bytes += verify_masks(self.masks) * self.learner.world_size

    def _pack(self) -> Tensors:
        learner = self.learner
        return pack_model(learner.model, self.masks) | pack_optimizer(learner.optimizer, learner.model, self.masks)

    def _restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        parts = ("chosen", "parent-scores", "snapshot/", "buffers/")
        own = {key: value for key, value in tensors.items() if not key.startswith(parts)}
        unpack_model(own, self.learner.model, self.masks)
        unpack_optimizer(own, self.learner.optimizer, self.learner.model, self.masks)

    def _charge_seconds(self) -> None:
        elapsed = time.perf_counter() - self._started
        self.learner.ledger.worker_seconds = self._seconds_before + elapsed * self.learner.world_size

    def _tell(self, kind: type[InPhase], phase: Phase, **details: Any) -> None:
        cursor = self.cursor
        self.observer.event(
            kind(
                phase=cursor.phase,
                phases=len(self.plan.phases),
                kind=phase.kind,
                round=cursor.round,
                epoch=cursor.epoch,
                epochs=self.plan.epochs_of(phase),
                density=self.masks.density,
                **details,
            )
        )

    def _tell_steps(self, phase: Phase, steps: EpochSteps) -> None:
        self._tell(StepsDone, phase, **vars(steps))

    def _outcome(self, refusal: Verdict | None = None) -> Outcome:
        """Judge the candidate; it is looked at on the test split only if it passes."""
        self._charge_seconds()
        learner, masks = self.learner, self.masks
        scores = learner.scores("val")
        val_accuracy, noise = metric_values(scores)[0], None
        if self._parent_scores is not None:
            noise = val_noise(scores[:, 0], self._parent_scores[:, 0], self.gate_confidence)
        guessing = 0.0 if self.has_parent else learner.guessing("val")
        verdict = refusal or judge(val_accuracy, self.parent_val_accuracy, self.gate_tolerance, guessing, noise or 0.0)
        by_arrival = {
            name: metric_values(scores[rows])[0]
            for name, rows in self.data.groups("val").items()
            if rows.stop > rows.start
        }
        has_test = any(rows.stop > rows.start for rows in self.data.groups("test").values())
        test = learner.metrics("test") if verdict.promoted and has_test else {}
        record = UpdateRecord(
            phases=self.state.record.phases,
            ledger=learner.ledger,
            val_accuracy=val_accuracy,
            mask_digest=masks.digest(),
            density=masks.density,
            active_connections=masks.active,
            total_connections=masks.total,
            densities=masks.densities(),
            test_accuracy=test.get(learner.task.metrics[0]),
            test_metrics=test,
            parent_val_accuracy=self.parent_val_accuracy,
            val_noise=noise,
            accuracy_by_arrival=by_arrival,
        )
        return Outcome(verdict, record, pack_model(learner.model, masks))


def _with_prefix(tensors: Mapping[str, torch.Tensor], prefix: str) -> Tensors:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
