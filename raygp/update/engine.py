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

This file is the walk through the plan: epochs, checkpoints, rounds. What each phase does stands with the phase
(:mod:`raygp.update.phases`), how it grows, cuts and restores in :mod:`raygp.update.running`, and how the candidate is
judged in :mod:`raygp.update.judging`.

Every rank holds the same masks and weights at all times. A position in this program is a :class:`Cursor`, so a run can
go on from any checkpoint.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from typing import Any

import torch

from raygp.data.batches import TrainingData
from raygp.errors import TrainingError
from raygp.events import EpochEnded, InPhase, PhaseEnded, PhaseStarted, Resumed, StepsDone
from raygp.record import EpochRecord, Look, PhaseRecord, RungRecord
from raygp.sparse import gather_buffers, load_gathered_buffers, verify_masks
from raygp.update.checkpoint_clock import CheckpointClock
from raygp.update.examples import ExampleChoice
from raygp.update.gate import GateSettings, Verdict
from raygp.update.judging import Judge
from raygp.update.learner import Learner
from raygp.update.measuring import known_of, metric_values
from raygp.update.observer import Observer, Silent
from raygp.update.outcome import Outcome
from raygp.update.phases import Next, Phase
from raygp.update.plan import Plan
from raygp.update.running import RunningUpdate
from raygp.update.shared import SharedWork
from raygp.update.state import Checkpoint, Cursor, Tensors, UpdateState, with_prefix
from raygp.update.telling import plan_started


class Update:
    """Carries out one plan on one learner."""

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
        gate_class_tolerance: float = 0.05,
        gate_new_margin: float = 0.0,
        classes: Sequence[str] = (),
        parent_classes: int | None = None,
        arrivals: Sequence[str] = (),
        observer: Observer | None = None,
        shared: SharedWork | None = None,
        checkpoint_seconds: float | None = None,
        may_give_up: bool = False,
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
            gate_class_tolerance: how far it may lie below its parent's over the rows of one class.
            gate_new_margin: by how much more than guessing rows of new classes must be right.
            classes: names of the candidate's classes, for the gate and the record.
            parent_classes: how many of them the parent knows; None: all.
            arrivals: names of the new ones; empty: the last that brought validation rows.
            observer: told of events, offered checkpoints.
            shared: results of passes over the parent that are known.
            checkpoint_seconds: offer a checkpoint inside an epoch if the last is so old, or the observer says that
                these workers are leaving; 0: after every step; None: at the ends of epochs only.
            may_give_up: end before the plan's end if what the parent knew falls away, since a safer plan follows.
        """
        self._may_give_up = may_give_up
        self.plan, self.learner, self.has_parent = plan, learner, has_parent
        self.observer: Observer = observer or Silent()
        self.masks = learner.masks
        learner.tell = self.observer.event
        learner.known_classes = known_of(learner.task, learner.model, parent_classes if has_parent else None)
        self._shared = shared
        self._examples = ExampleChoice(plan, learner, data, seed, shared)
        self._running = RunningUpdate(plan, learner, self._examples, seed, shared)
        gate = GateSettings(gate_tolerance, gate_confidence, gate_class_tolerance, gate_new_margin)
        self._judge = Judge(learner, has_parent, gate, classes, parent_classes, arrivals)
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
        tensors = checkpoint.tensors
        beside = ("chosen", "parent-scores", "snapshot/", "buffers/")
        self._running.state = copy.deepcopy(checkpoint.state)
        self._running.unpack({key: value for key, value in tensors.items() if not key.startswith(beside)})
        if self.masks.digest() != self.state.record.mask_digest:
            raise TrainingError("the checkpoint's masks do not match their digest: delete its folder, run again")
        self._running.snapshot = with_prefix(tensors, "snapshot/") or None
        load_gathered_buffers(self.learner.model, with_prefix(tensors, "buffers/"))
        if "chosen" in tensors:
            self._examples.chosen = tensors["chosen"].numpy()
        if "parent-scores" in tensors:
            self._judge.parent_scores = tensors["parent-scores"].numpy()
        self.learner.ledger = self.state.record.ledger
        self._seconds_before = self.state.record.ledger.worker_seconds
        self._resumed = True

    def follow(self, before: Update, rungs: Sequence[RungRecord]) -> None:
        """Take over what an update with another plan from the same parent spent, and what it knows of the parent.

        Args:
            before: was refused or passed over. ``rungs``: what has been tried.
        """
        before.learner.charge_traffic()
        self.learner.ledger = copy.copy(before.learner.ledger)
        self._seconds_before = self.learner.ledger.worker_seconds
        self.state.record.rungs = list(rungs)
        self.state.record.look = before.state.record.look
        if before._judge.parent_scores is not None:
            self._judge.parent_scores = before._judge.parent_scores
            self.state.record.val_accuracy = metric_values(before._judge.parent_scores)[0]

    def look(self) -> tuple[Look, str]:
        """What the parent makes of validation (:meth:`raygp.update.judging.Judge.look`). It is not charged."""
        self._started = time.perf_counter()
        self._measure_parent()
        self._charge_seconds()
        self._seconds_before = self.learner.ledger.worker_seconds
        return self._judge.look()

    def unlearnt(self) -> float:
        """See :meth:`raygp.update.examples.ExampleChoice.unlearnt`."""
        self._started = time.perf_counter()
        found = self._examples.unlearnt()
        self._charge_seconds()
        self._seconds_before = self.learner.ledger.worker_seconds
        return found

    def run(self) -> Outcome:
        """All that is left of the plan, then the gate.

        Raises:
            TrainingError: training went wrong; nothing outside this process has changed.
            raygp.sparse.MaskDisagreement: the workers' masks differ.
        """
        self._started = time.perf_counter()
        verify_masks(self.masks)
        self._tell_start()
        self._look_at_the_parent()
        while self.cursor.phase < len(self.plan.phases):
            phase = self.plan.phases[self.cursor.phase]
            if self.cursor.stage == "enter":
                self._enter(phase)
            if given_up := self._train(phase):
                self._charge_seconds()
                return self._judge.outcome(self.state.record, self.plan, self._steps(), given_up)
            self._leave_round(phase)
            if ruined := self._judge.ruined_by(self.plan, phase, self.cursor, self.state.record.phases):
                self._charge_seconds()
                return self._judge.outcome(self.state.record, self.plan, self._steps(), ruined)
        self._charge_seconds()
        return self._judge.outcome(self.state.record, self.plan, self._steps())

    def _steps(self) -> int:
        """Training steps of all the epochs so far."""
        done = zip(self.plan.phases, self.state.record.phases, strict=False)
        return sum(record.epochs * self.learner.steps(self._examples.count(phase)) for phase, record in done)

    @property
    def parent_val_accuracy(self) -> float | None:
        """The parent's accuracy on validation; None if there is none, or :meth:`run` has not measured it yet."""
        return self._judge.parent_val_accuracy

    @property
    def state(self) -> UpdateState:
        """Position and record, as a checkpoint would hold them."""
        return self._running.state

    @property
    def cursor(self) -> Cursor:
        """The place in the plan."""
        return self.state.cursor

    @property
    def _phase_record(self) -> PhaseRecord:
        return self._running.phase_record

    # -- one round of a phase -----------------------------------------------------------------------------------------

    def _look_at_the_parent(self) -> None:
        """Its scores on validation, and the choice of examples by its losses, unless a checkpoint has them."""
        if not self.has_parent or self._resumed:
            return
        self._measure_parent()
        # By the parent's losses: what phases do to the model later has no say in it.
        if not all(phase.on_arrival_alone for phase in self.plan.phases):
            self._examples.choose()

    def _measure_parent(self) -> None:
        """Its scores on validation, unless they are known."""
        if self._judge.parent_scores is None:
            scores = self._shared.parent_scores if self._shared else self._judge.scores_of_parent()
            self._judge.parent_scores = scores
            self.state.record.val_accuracy = metric_values(scores)[0]

    def _enter(self, phase: Phase) -> None:
        """A round's growth or cut."""
        cursor = self.cursor
        if cursor.round == 0:
            self.state.record.phases.append(PhaseRecord(kind=phase.kind))
            cursor.reference = self.state.record.val_accuracy
        cursor.start_density = self.masks.density
        cursor.best, cursor.waited, cursor.pruned_in_round, cursor.removals = -1.0, 0, 0, 0
        phase.enter(self._running)
        cursor.stage = "train"
        self._tell(PhaseStarted, phase, densities=self.masks.densities())

    def _train(self, phase: Phase) -> Verdict | None:
        """What is left of a round's epochs, each with its evaluation and checkpoint; a refusal if they are given up."""
        cursor, epochs = self.cursor, self.plan.epochs_of(phase)
        if epochs and self.has_parent and (cursor.epochs_total, cursor.step) == (0, 0):  # Later, it is shrunk already.
            self.learner.shrink(self.plan.shrink)
        while cursor.epoch < epochs:
            if self._may_give_up and (verdict := self._judge.given_up(self.plan, phase, cursor, self._phase_record)):
                return verdict
            loss = self._train_epoch(phase, epochs)
            phase.after_epoch(self._running, (cursor.epoch + 1) / epochs)
            cursor.epoch += 1
            cursor.epochs_total += 1
            self._running.evaluate()
            self._end_epoch(phase, loss)
            if self._waited_long_enough(phase):
                self._phase_record.stopped = "no better validation accuracy"
                cursor.epoch = epochs
            self._offer_checkpoint()
        if epochs == 0:
            phase.after_epoch(self._running, 1.0)
            self._running.evaluate()
        return None

    def _train_epoch(self, phase: Phase, epochs: int) -> float:
        """One epoch, or what is left of it; gives its mean loss."""
        cursor, peak = self.cursor, self.plan.lr_of(phase)

        def before_step(done_of_epoch: float) -> None:
            done = (cursor.epoch + done_of_epoch) / epochs
            self.learner.set_lr(phase.learning_rate(peak, done))
            phase.before_step(self._running, done)

        loss = self.learner.train_epoch(
            self._examples.ids(phase),
            cursor.epochs_total,
            before_step=before_step,
            watch=lambda steps: self._tell(StepsDone, phase, **vars(steps)),
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
            self._buffers = gather_buffers(learner.model)  # They differ between ranks.
            self._offer_checkpoint()
            self._buffers = {}

    def _end_epoch(self, phase: Phase, loss: float) -> None:
        """Write the epoch into the record, and tell of it."""
        self._charge_seconds()
        record, ledger = self._phase_record, self.learner.ledger
        record.epochs += 1
        epoch = EpochRecord(
            round=self.cursor.round,
            loss=loss,
            val_accuracy=self.state.record.val_accuracy,
            known_accuracy=self._running.known_accuracy,
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
        if self.state.record.val_accuracy > cursor.best:
            cursor.best, cursor.waited = self.state.record.val_accuracy, 0
        else:
            cursor.waited += 1
        return phase.patience is not None and cursor.waited >= phase.patience

    def _offer_checkpoint(self) -> None:
        self.observer.checkpoint(self.checkpoint)
        self._clock.restart()

    def _leave_round(self, phase: Phase) -> None:
        """Let the phase judge the round, and move the cursor on."""
        cursor, record = self.cursor, self._phase_record
        cursor.stage, cursor.epoch = "enter", 0
        cursor.round += 1  # First: phases compare the rounds that are over with those that they may have.
        follows = phase.leave(self._running)
        record.density_after, record.val_accuracy = self.masks.density, self.state.record.val_accuracy
        if follows is Next.PHASE:
            self._tell(PhaseEnded, phase, record=record.model_copy(deep=True))
            cursor.phase, cursor.round = cursor.phase + 1, 0

    # -- state, time and events ---------------------------------------------------------------------------------------

    def shared_work(self) -> SharedWork:
        """What updates from this parent have in common, computed and charged here. Nothing is trained.

        Losses are computed where the plan chooses by all of them.
        """
        self._measure_parent()
        scores, losses = self._judge.parent_scores, self._examples.all_losses()
        assert scores is not None
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
        tensors = self._running.pack()
        tensors |= {f"snapshot/{key}": value for key, value in (self._running.snapshot or {}).items()}
        tensors |= {f"buffers/{key}": value for key, value in self._buffers.items()}
        if self._examples.chosen is not None:
            tensors["chosen"] = torch.from_numpy(self._examples.chosen)
        if self._judge.parent_scores is not None:
            tensors["parent-scores"] = torch.from_numpy(self._judge.parent_scores)
        return Checkpoint(copy.deepcopy(self.state), tensors)

    def _charge_seconds(self) -> None:
        elapsed = time.perf_counter() - self._started
        self.learner.ledger.worker_seconds = self._seconds_before + elapsed * self.learner.world_size

    def _tell_start(self) -> None:
        if self._resumed and self.cursor.phase < len(self.plan.phases):
            self._tell(Resumed, self.plan.phases[self.cursor.phase], step=self.cursor.step)
        self.observer.event(plan_started(self.plan, self._examples, self.learner))

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
