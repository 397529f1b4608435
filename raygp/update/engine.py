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

Every rank holds the same masks and weights at all times. A position in this program is a :class:`Cursor`, so a run can
go on from any checkpoint.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from raygp.data.batches import TrainingData
from raygp.errors import TrainingError
from raygp.sparse import (
    cubic_density,
    grow,
    pack_model,
    pack_optimizer,
    prune,
    unpack_model,
    unpack_optimizer,
    verify_masks,
)
from raygp.update.checkpoint_clock import CheckpointClock
from raygp.update.examples import choose_examples
from raygp.update.gate import Verdict, collapsed, judge, val_noise
from raygp.update.learner import Learner, metric_values
from raygp.update.observer import Observer, Progress, Silent, Step
from raygp.update.outcome import Outcome
from raygp.update.plan import GrowPhase, Plan, PrunePhase
from raygp.update.rounds import Next, after_round, round_density
from raygp.update.seeds import numpy_generator
from raygp.update.shared import SharedWork, growth_key
from raygp.update.state import Checkpoint, PhaseRecord, Tensors, UpdateState


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
            observer: told of progress, offered checkpoints.
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
        self._chosen: np.ndarray | None = None
        self._parent_scores: np.ndarray | None = None
        self._clock = CheckpointClock(checkpoint_seconds, learner, self.observer)
        self._buffers: Tensors = {}
        self._seconds_before = 0.0
        self._started = time.perf_counter()

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from ``checkpoint`` instead of from the start.

        Raises:
            TrainingError: the masks in it are not those that its digest names.
        """
        self.state = UpdateState.from_dict(checkpoint.state)
        self._restore(checkpoint.tensors)
        if self.masks.digest() != self.state.mask_digest:
            raise TrainingError("the checkpoint's masks do not match their digest: delete its folder, run again")
        self._snapshot = _with_prefix(checkpoint.tensors, "snapshot/") or None
        self.learner.load_rank_buffers(_with_prefix(checkpoint.tensors, "buffers/"))
        if "chosen" in checkpoint.tensors:
            self._chosen = checkpoint.tensors["chosen"].numpy()
        if "parent-scores" in checkpoint.tensors:
            self._parent_scores = checkpoint.tensors["parent-scores"].numpy()
        self.learner.ledger = self.state.ledger
        self._seconds_before = self.state.ledger.worker_seconds

    def run(self) -> Outcome:
        """All that is left of the plan, then the gate.

        Raises:
            TrainingError: training went wrong; nothing outside this process has changed.
            raygp.sparse.MaskDisagreement: the workers' masks differ.
        """
        self._started = time.perf_counter()
        verify_masks(self.masks)
        if self.has_parent and self._parent_scores is None:
            self._parent_scores = self._shared.parent_scores if self._shared else self.learner.scores("val")
            self.state.val_accuracy = metric_values(self._parent_scores)[0]
            # By the parent's losses: what phases do to the model later has no say in it.
            if any(phase.kind != "grow-new" for phase in self.plan.phases):
                self._choose()
        while self.state.cursor.phase < len(self.plan.phases):
            phase = self.plan.phases[self.state.cursor.phase]
            if self.state.cursor.stage == "enter":
                self._enter(phase)
            self._train(phase)
            self._leave_round(phase)
            if diverged := self._diverged():
                return self._outcome(diverged)
        return self._outcome()

    @property
    def parent_val_accuracy(self) -> float | None:
        """The parent's accuracy on validation; None if there is none, or :meth:`run` has not measured it yet."""
        return None if self._parent_scores is None else metric_values(self._parent_scores)[0]

    # -- phases ---------------------------------------------------------------------------------------------------

    def _enter(self, phase: GrowPhase | PrunePhase) -> None:
        """A round's growth or cut."""
        cursor = self.state.cursor
        if cursor.round == 0:
            self.state.records.append(PhaseRecord(kind=phase.kind))
            cursor.reference = self.state.val_accuracy
            if isinstance(phase, PrunePhase):
                cursor.beta = self.plan.beta_of(phase)
        cursor.start_density = self.masks.density
        cursor.best, cursor.waited, cursor.pruned_in_round, cursor.removals = -1.0, 0, 0, 0
        if isinstance(phase, GrowPhase):
            self._grow(phase)
        elif not phase.gradual:
            if phase.kind == "prune-recoverable":
                self._snapshot = self._pack()
            self._prune(phase, round_density(phase, self.plan, self.masks.density, cursor.beta))
        cursor.stage = "train"

    def _grow(self, phase: GrowPhase) -> None:
        plan, first = self.plan, self.state.cursor.phase == 0
        shared = self._shared.gradient_for(plan, self.learner.device) if self._shared and first else None
        gradient = shared or self.learner.gradient_sum(self._growth_sample(phase))
        try:
            grown = grow(
                self.masks, gradient, plan.alpha_of(phase), plan.eta_of(phase), self.learner.optimizer, self._bounds
            )
        except ValueError as error:
            raise TrainingError(str(error)) from error
        self.state.records[-1].grown += sum(grown.values())
        self._verify()

    def _growth_sample(self, phase: GrowPhase) -> np.ndarray:
        ids = self._ids(phase)
        generator = numpy_generator(self.seed, "growth-sample", self.state.cursor.phase)
        return np.sort(generator.permutation(ids)[: phase.sampled(len(ids))])

    def _prune(self, phase: PrunePhase, density: float) -> None:
        removed = prune(self.masks, density, self.plan.distribution, self.learner.optimizer, self._bounds)
        for layer in self.masks.layers:
            if removed[layer.name] and not bool(self.masks.mask(layer).any()):
                raise TrainingError(
                    f"{phase.kind} to density {density:.3g} leaves layer {layer.name} none of its "
                    f"{self.masks.mask(layer).numel():,} connections: raise plan.density, or try another "
                    f"plan.distribution than {self.plan.distribution}"
                )
        count = sum(removed.values())
        self.state.records[-1].pruned += count
        self.state.cursor.pruned_in_round += count
        self._verify()

    def _train(self, phase: GrowPhase | PrunePhase) -> None:
        cursor, epochs = self.state.cursor, self.plan.epochs_of(phase)
        if epochs and self.has_parent and (cursor.epochs_total, cursor.step) == (0, 0):
            self.learner.shrink(self.plan.shrink)
        while cursor.epoch < epochs:
            self.learner.train_epoch(
                self._ids(phase),
                cursor.epochs_total,
                before_step=lambda done: self._before_step(phase, (cursor.epoch + done) / epochs),
                watch=lambda step: self.observer.progress(self._progress(phase, step)),
                after_step=self._after_step,
                first_step=cursor.step,
            )
            cursor.step = 0
            if isinstance(phase, PrunePhase) and phase.gradual and (cursor.epoch + 1) / epochs >= phase.end:
                self._gradual_prune(phase, 1.0)
            cursor.epoch += 1
            cursor.epochs_total += 1
            self.state.val_accuracy = self.learner.accuracy("val")
            self.state.records[-1].epochs += 1
            self.observer.progress(self._progress(phase, None))
            if self._stop_early(phase):
                self.state.records[-1].stopped = "no better validation accuracy"
                cursor.epoch = epochs
            self._offer_checkpoint()
        if epochs == 0:
            if isinstance(phase, PrunePhase) and phase.gradual:
                self._gradual_prune(phase, 1.0)
            self.state.val_accuracy = self.learner.accuracy("val")

    def _after_step(self, done: int, steps: int) -> None:
        """Offer a checkpoint inside the epoch if one is due; at its end there is one in any case."""
        if done < steps and self._clock.due():
            self.state.cursor.step = done
            self.learner.charge_traffic()
            self._buffers = self.learner.rank_buffers()
            self._offer_checkpoint()
            self._buffers = {}

    def _offer_checkpoint(self) -> None:
        self.observer.checkpoint(self.checkpoint)
        self._clock.restart()

    def _leave_round(self, phase: GrowPhase | PrunePhase) -> None:
        """Judge a pruning round, and move the cursor on."""
        cursor, record = self.state.cursor, self.state.records[-1]
        cursor.stage, cursor.epoch = "enter", 0
        cursor.round += 1
        follows = Next.PHASE
        if isinstance(phase, PrunePhase) and not phase.gradual:
            at_goal = self.masks.density <= self.plan.density_of(phase) + 1.0 / self.masks.total
            decision = after_round(
                phase,
                self.plan,
                rounds=cursor.round,
                beta=cursor.beta,
                accuracy=self.state.val_accuracy,
                reference=cursor.reference,
                at_goal=at_goal,
            )
            if decision.restore:
                assert self._snapshot is not None
                self._restore(self._snapshot)
                self._verify()
                record.restored += cursor.pruned_in_round
                record.pruned -= cursor.pruned_in_round
                self.state.val_accuracy = self.learner.accuracy("val")
            self._snapshot = None
            cursor.beta, follows = decision.beta, decision.next
            if decision.reason != "density reached":
                record.stopped = decision.reason
        record.density_after, record.val_accuracy = self.masks.density, self.state.val_accuracy
        if follows is Next.PHASE:
            cursor.phase, cursor.round = cursor.phase + 1, 0

    def _diverged(self) -> Verdict | None:
        """The refusal of a candidate that a finished phase has ruined: the phases after it would be wasted."""
        cursor, record = self.state.cursor, self.state.records[-1]
        # Training on the arrival alone may forget the rest, which replay brings back.
        if cursor.round > 0 or record.epochs == 0 or record.kind == "grow-new":
            return None
        earlier = [other.val_accuracy for other in self.state.records[:-1]]
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

    def _before_step(self, phase: GrowPhase | PrunePhase, done: float) -> None:
        self.learner.set_lr(learning_rate(phase, self.plan.lr_of(phase), done))
        if isinstance(phase, PrunePhase) and phase.gradual:
            self._gradual_prune(phase, (done - phase.start) / (phase.end - phase.start))

    def _gradual_prune(self, phase: PrunePhase, progress: float) -> None:
        """Bring the model to the density of ``progress``, the part of the way down, if a removal is due."""
        cursor = self.state.cursor
        due = math.floor(min(max(progress, 0.0), 1.0) * phase.removals + 1e-9)
        if due > cursor.removals:
            cursor.removals = due
            goal = self.plan.density_of(phase)
            self._prune(phase, cubic_density(max(goal, cursor.start_density), goal, due / phase.removals))

    def _stop_early(self, phase: GrowPhase | PrunePhase) -> bool:
        cursor = self.state.cursor
        if self.state.val_accuracy > cursor.best:
            cursor.best, cursor.waited = self.state.val_accuracy, 0
        else:
            cursor.waited += 1
        return phase.patience is not None and cursor.waited >= phase.patience

    # -- data, state, results -------------------------------------------------------------------------------------

    def _ids(self, phase: GrowPhase | PrunePhase) -> np.ndarray:
        """The phase's training examples: the arrival alone, or what is chosen of replay and arrival."""
        new = np.arange(self.data.old_rows, self.data.old_rows + self.data.new_rows)
        if phase.kind == "grow-new":
            return new
        return self._choose() if self._chosen is None else self._chosen

    def _choose(self) -> np.ndarray:
        """Ids of the replayed examples and those of the arrival, chosen by the model as it is."""
        chosen = []
        for part, ids in self._parts():
            settings = self.plan.replay if part == "replay" else self.plan.arrival
            known = self._shared.losses.get(part) if self._shared else None

            def losses(wanted: np.ndarray, known: Any = known, first: int = int(ids[0]) if len(ids) else 0) -> Any:
                return self.learner.losses(wanted) if known is None else known[wanted - first]

            chosen.append(choose_examples(settings, ids, numpy_generator(self.seed, part), losses))
        self._chosen = np.concatenate(chosen)
        return self._chosen

    def _parts(self) -> list[tuple[str, np.ndarray]]:
        """The data by whether earlier arrivals or this one brought them."""
        old = np.arange(self.data.old_rows)
        return [("replay", old), ("arrival", self.data.old_rows + np.arange(self.data.new_rows))]

    def shared_work(self) -> SharedWork:
        """What updates from this parent have in common, computed and charged here. Nothing is trained.

        Losses are computed where the plan chooses by all of them.
        """
        scores = self.learner.scores("val")
        losses = {}
        for part, ids in self._parts():
            settings = self.plan.replay if part == "replay" else self.plan.arrival
            if 0.0 < settings.share < 1.0 and settings.hard > 0.0 and settings.scan == 1.0 and len(ids):
                losses[part] = self.learner.losses(ids)
        self._shared = SharedWork({}, scores, None, losses, {})
        first = self.plan.phases[0]
        gradient = self.learner.gradient_sum(self._growth_sample(first)) if isinstance(first, GrowPhase) else None
        self._charge_seconds()
        return SharedWork(growth_key(self.plan), scores, gradient, losses, self.learner.ledger.to_dict())

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

    def checkpoint(self) -> Checkpoint:
        """The update as it stands, between two steps."""
        self._charge_seconds()
        self.state.ledger = self.learner.ledger
        self.state.mask_digest = self.masks.digest()
        tensors = self._pack()
        tensors |= {f"snapshot/{key}": value for key, value in (self._snapshot or {}).items()}
        tensors |= {f"buffers/{key}": value for key, value in self._buffers.items()}
        if self._chosen is not None:
            tensors["chosen"] = torch.from_numpy(self._chosen)
        if self._parent_scores is not None:
            tensors["parent-scores"] = torch.from_numpy(self._parent_scores)
        return Checkpoint(self.state.to_dict(), tensors)

    def _charge_seconds(self) -> None:
        elapsed = time.perf_counter() - self._started
        self.learner.ledger.worker_seconds = self._seconds_before + elapsed * self.learner.world_size

    def _progress(self, phase: GrowPhase | PrunePhase, step: Step | None) -> Progress:
        cursor = self.state.cursor
        if step is None:
            self._charge_seconds()
        return Progress(
            cursor.phase,
            len(self.plan.phases),
            phase.kind,
            cursor.epoch,
            self.plan.epochs_of(phase),
            self.masks.density,
            step,
            self.state.val_accuracy if step is None else None,
            self.learner.ledger.to_dict() if step is None else None,
        )

    def _outcome(self, refusal: Verdict | None = None) -> Outcome:
        self._charge_seconds()
        scores = self.learner.scores("val")
        val_accuracy = metric_values(scores)[0]
        guessing = 0.0 if self.has_parent else self.learner.guessing("val")
        noise = None
        if self._parent_scores is not None:
            noise = val_noise(scores[:, 0], self._parent_scores[:, 0], self.gate_confidence)
        verdict = refusal or judge(val_accuracy, self.parent_val_accuracy, self.gate_tolerance, guessing, noise or 0.0)
        by_arrival = {
            name: metric_values(scores[rows])[0]
            for name, rows in self.data.groups("val").items()
            if rows.stop > rows.start
        }
        has_test = any(rows.stop > rows.start for rows in self.data.groups("test").values())
        test = self.learner.metrics("test") if verdict.promoted and has_test else {}
        return Outcome(
            verdict=verdict,
            tensors=pack_model(self.learner.model, self.masks),
            val_accuracy=val_accuracy,
            test_accuracy=test.get(self.learner.task.metrics[0]),
            parent_val_accuracy=self.parent_val_accuracy,
            val_noise=noise,
            accuracy_by_arrival=by_arrival,
            density=self.masks.density,
            densities=self.masks.densities(),
            active_connections=self.masks.active,
            total_connections=self.masks.total,
            mask_digest=self.masks.digest(),
            ledger=self.learner.ledger.to_dict(),
            phases=[record.model_dump() for record in self.state.records],
            test_metrics=test,
        )


def learning_rate(phase: GrowPhase | PrunePhase, peak: float, done: float) -> float:
    """Learning rate when the part ``done`` of a phase's steps is over.

    A cycle rises linearly from a tenth of the peak over ``phase.warmup``, then follows a cosine to zero.
    """
    if phase.schedule == "constant":
        return peak
    if done < phase.warmup:
        return peak * (0.1 + 0.9 * done / phase.warmup)
    after = (done - phase.warmup) / max(1e-12, 1.0 - phase.warmup)
    return peak * 0.5 * (1.0 + math.cos(math.pi * min(1.0, after)))


def _with_prefix(tensors: Mapping[str, torch.Tensor], prefix: str) -> Tensors:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
