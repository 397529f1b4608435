"""The passes over data: training epochs, growth passes, loss scans, evaluation. One learner per worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Literal

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer

from raygp.data.batches import Batch, Split, TrainingData
from raygp.errors import TrainingError
from raygp.events import Listener, unheard
from raygp.record import CostLedger
from raygp.sparse import (
    FlopCount,
    GradientSum,
    Masks,
    PackedReduction,
    average_buffers,
    count_uses,
    growth_flops,
    rank,
    reduce_gradient_sum,
    training_flops,
    unused_parameters,
    world_size,
    wrap_ddp,
)
from raygp.tasks.padded import Padded, take
from raygp.tasks.protocol import Task
from raygp.update.measuring import Measured, Measuring, among_first, metric_values
from raygp.update.seeds import derive_seed, torch_generator
from raygp.update.teacher import Teacher
from raygp.update.telling import EpochSteps, HowFar

_SCAN_BATCH = 512
_LOSS_CHECK_STEPS = 50
_WATCH_S = 2.0
"""Steps that take long are told of more often than every so many: 50 of them may be minutes."""


class Learner:
    """A model with its masks, optimizer and data on one worker of torch.distributed (or alone).

    All methods are collective: every rank calls them in the same order with the same arguments.
    """

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        masks: Masks,
        optimizer: Optimizer,
        data: TrainingData,
        *,
        seed: int,
        batch_size: int,
        clip_norm: float | None = None,
        packed_gradients: bool = True,
        precision: Literal["fp32", "bf16"] = "fp32",
        teacher: Teacher | None = None,
    ) -> None:
        self.task, self.model, self.masks, self.optimizer, self.data = task, model, masks, optimizer, data
        self.seed, self.batch_size, self.clip_norm = seed, batch_size, clip_norm
        self.device = next(model.parameters()).device
        self.precision, self.teacher = precision, teacher
        self.ledger = CostLedger()
        self.rank, self.world_size = rank(), world_size()
        self._uses: FlopCount | None = None
        self._flops_generation, self._sparse_forward = -1, 0.0
        self._teacher_forward: float | None = None
        self._charged_bytes = 0
        self._class_ids: dict[Split, np.ndarray] = {}
        self.known_classes: int | None = None
        """Where the parent knows some of the classes alone, how many: see :func:`raygp.update.measuring.known_of`."""
        self.probe: np.ndarray | None = None
        """Validation rows by which a stored candidate is compared with this model: :mod:`raygp.update.probe`."""
        self.tell: Listener = unheard
        """Told how far passes over data have come that take long."""
        self._loss_sum = torch.zeros((), device=self.device)
        self.loss_steps = 0
        """Steps of the running epoch that :attr:`loss_sum` covers."""
        self._ddp: nn.parallel.DistributedDataParallel | None = None
        self._traffic: PackedReduction | None = None
        self._packed_gradients = packed_gradients

    def train_epoch(
        self,
        ids: np.ndarray,
        epoch: int,
        before_step: Callable[[float], None],
        watch: Callable[[EpochSteps], None] | None = None,
        after_step: Callable[[int, int], None] | None = None,
        first_step: int = 0,
        loss_sum: float = 0.0,
        loss_steps: int = 0,
    ) -> float:
        """One epoch over ``ids``, or what is left of it.

        Args:
            ids: ids of training examples.
            epoch: number of the epoch in the update: it seeds order, augmentation and, by step, dropout.
            before_step: called with the part of the epoch that is done, in [0, 1); sets the learning rate, prunes.
            watch: called now and then with the state of the epoch.
            after_step: called after each step with the steps done and those of the epoch.
            first_step: steps that were done before.
            loss_sum: :attr:`loss_sum` after those steps.
            loss_steps: :attr:`loss_steps` after those steps.

        Returns:
            Mean training loss on this rank, over the steps whose losses are known: those of the epoch, or fewer
            where ``loss_steps`` is less than ``first_step``.

        Raises:
            TrainingError: the loss is not finite.
        """
        batch_size, steps = min(self.batch_size, len(ids)), self.steps(len(ids))
        network: nn.Module = self._ddp or self.model
        network.train()
        self._loss_sum, self.loss_steps = torch.full((), loss_sum, device=self.device), loss_steps
        mean = loss_sum / max(1, loss_steps)
        teacher = self.teacher
        asked = len(teacher.asked_about(ids, self.data.old_rows)) / len(ids) if teacher else 0.0
        started = watched = time.perf_counter()
        order = derive_seed(self.seed, "order", epoch)
        # A rank without examples would have no gradient to reduce: where there are fewer than ranks, each takes all.
        rank, ranks = (self.rank, self.world_size) if batch_size >= self.world_size else (0, 1)
        for batch in self.data.epoch(ids, batch_size, order, rank, ranks, first_step):
            before_step(batch.step / steps)
            torch.manual_seed(derive_seed(self.seed, "dropout", epoch, self.rank, batch.step))
            inputs, targets = self._to_device(batch)
            draws = torch.rand(
                batch_size, self.task.draws, generator=torch_generator(self.seed, "augment", epoch, batch.step)
            )[batch.offset : batch.offset + len(batch.ids)].to(self.device)
            inputs = self.task.prepare(inputs, draws)
            if self.world_size > 1 and self._ddp is None:
                network = self._in_parallel(inputs, targets, len(batch.ids))
            losses = self._training_losses(network, inputs, targets, batch.ids)
            # DDP averages over workers, whose slices may differ by one: this makes it the mean of the global batch.
            loss = losses.sum() * (ranks / batch_size)
            # DDP's gradients are views of its buckets, and have to stay there.
            self.optimizer.zero_grad(set_to_none=self._ddp is None)
            torch.autograd.backward(loss)
            if self._traffic is None or not self._traffic.enabled:
                self.masks.mask_gradients()
            if self.clip_norm is not None:
                nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
            self.optimizer.step()
            self._loss_sum += losses.detach().mean()
            self.loss_steps += 1
            self._charge_training(batch_size, asked)
            done, now = batch.step + 1, time.perf_counter()
            due = batch.step == first_step or done % _LOSS_CHECK_STEPS == 0 or done == steps
            # To read the loss is to wait for a GPU: not after every step.
            if due or now - watched >= _WATCH_S:
                mean, watched = self.loss_sum / self.loss_steps, now
                if due:  # Clocks differ between ranks, which have to fail after the same step.
                    self._require_finite(mean, epoch)
                if watch:
                    watch(EpochSteps(done, steps, mean, (done - first_step) * batch_size / (now - started)))
            if after_step:
                after_step(done, steps)
        self.charge_traffic()
        self.ledger.reduced_bytes += average_buffers(self.model) * self.world_size
        return mean

    def _in_parallel(self, inputs: Tensor | Padded, targets: Tensor | Padded, rows: int) -> nn.Module:
        """The model as DDP has it. A few examples of the first batch show whether all of its parameters are used."""
        tried, wanted = (take(values, torch.arange(min(8, rows), device=self.device)) for values in (inputs, targets))
        loss = lambda: self.task.losses(self._outputs(self.model, tried), wanted).sum()
        unused = unused_parameters(self.model, loss, self.seed)
        self._ddp, self._traffic = wrap_ddp(self.model, self.masks, self._packed_gradients, some_unused=bool(unused))
        return self._ddp

    def steps(self, examples: int) -> int:
        """Training steps of an epoch over so many examples."""
        return max(1, examples // self.batch_size)

    @property
    def loss_sum(self) -> float:
        """Sum of the mean losses of the running epoch's steps on this rank, to go on from after an interruption."""
        return float(self._loss_sum)

    def gradient_sum(self, ids: np.ndarray) -> GradientSum:
        """The growth pass: G over ``ids``, summed locally under ``no_sync`` and all-reduced once.

        Runs in evaluation mode (running statistics, no dropout), so that G is a plain sum over examples and does not
        depend on how they are batched or shared out.
        """
        network: nn.Module = self._ddp or self.model
        network.eval()
        for module in self.model.modules():
            # cuDNN has no backward pass for recurrent layers in evaluation mode; without dropout, modes are alike.
            if isinstance(module, nn.RNNBase) and module.dropout == 0:
                module.train()
        for parameter in self.model.parameters():
            if parameter.grad is not None:
                parameter.grad.zero_()
        examples, far = 0, HowFar(self.tell, "summing gradients over examples", len(ids))
        with self._ddp.no_sync() if self._ddp else nullcontext():
            for batch in self.data.scan(ids, self.batch_size, self.rank, self.world_size):
                inputs, targets = self._to_device(batch)
                outputs = self._outputs(network, self.task.prepare(inputs, None))
                torch.autograd.backward(self.task.losses(outputs, targets).sum())
                examples += len(batch.ids)
                far.add(len(batch.ids) * self.world_size)
        sums = {}
        for name in self.masks.bits:
            gradient = self.masks.parameter(name).grad
            weight = self.masks.parameter(name)
            sums[name] = torch.zeros_like(weight) if gradient is None else gradient.detach().clone()
        self.optimizer.zero_grad(set_to_none=self._ddp is None)
        reduced, sent = reduce_gradient_sum(GradientSum(sums, examples))
        self.ledger.reduced_bytes += sent * self.world_size
        uses = self._count()
        dense = uses.dense_forward()
        self.ledger.charge(reduced.examples, growth_flops(self._sparse(), dense), training_flops(dense))
        return reduced

    @torch.no_grad()
    def losses(self, ids: np.ndarray, among: int | None = None) -> np.ndarray:
        """The loss of each of ``ids`` under the model as it is, the same on every rank; float32, shape (len(ids),).
        ``among``: of the first so many classes alone, which the examples must be of; None: of all."""
        self.model.eval()
        found = torch.zeros(len(ids))
        place = {int(sample): i for i, sample in enumerate(ids)}
        far = HowFar(self.tell, "looking at losses of examples", len(ids))
        for batch in self.data.scan(ids, _SCAN_BATCH, self.rank, self.world_size):
            inputs, targets = self._to_device(batch)
            outputs = self._outputs(self.model, self.task.prepare(inputs, None))
            losses = self.task.losses(among_first(outputs, among), targets)
            found[[place[int(sample)] for sample in batch.ids]] = losses.float().cpu()
            far.add(len(batch.ids) * self.world_size)
        self._charge_forward(len(ids), self._sparse())
        return self._sum(found).numpy()

    @torch.no_grad()
    def measure(self, split: Split) -> Measured:
        """What the model makes of each row of a held-out split, in one pass over it; the same on every rank."""
        self.model.eval()
        rows = max((part.stop for part in self.data.groups(split).values()), default=0)
        probe = self.probe if split == "val" else None
        measuring = Measuring(self.task, rows, self.known_classes, self._class_ids.get(split), probe)
        far = HowFar(self.tell, f"answering {'validation' if split == 'val' else split} rows", rows)
        for batch in self.data.evaluation(split, _SCAN_BATCH, self.rank, self.world_size):
            inputs, targets = self._to_device(batch)
            measuring.add(batch.ids, self._outputs(self.model, self.task.prepare(inputs, None)), targets)
            far.add(len(batch.ids) * self.world_size)
        measured = measuring.result(self._sum)
        if measured.class_ids is not None:
            self._class_ids[split] = measured.class_ids
        return measured

    def scores(self, split: Split) -> np.ndarray:
        """Points and weights of each row of a held-out split by metric, with all classes in play: see
        :attr:`raygp.update.measuring.Measured.scores`."""
        return self.measure(split).scores

    def class_ids(self, split: Split) -> np.ndarray | None:
        """Class of each row of a held-out split, int64, the same on every rank; None where labels are no classes.

        They are noted while a model is measured on the split, so that no pass over the data is made for them alone.
        """
        if self.task.labels_are_classes and split not in self._class_ids:
            self.measure(split)
        return self._class_ids.get(split)

    def metrics(self, split: Split) -> dict[str, float]:
        """Every metric of the task over a split."""
        return dict(zip(self.task.metrics, metric_values(self.scores(split)), strict=True))

    def accuracy(self, split: Split) -> float:
        """The task's first metric over a split; 0 for an empty one."""
        return self.measure(split).accuracy

    def charge_traffic(self) -> None:
        """Put the gradient bytes sent since the last call into the ledger."""
        if self._traffic:
            self.ledger.reduced_bytes += (self._traffic.reduced_bytes - self._charged_bytes) * self.world_size
            self._charged_bytes = self._traffic.reduced_bytes

    def agree(self, *values: int) -> list[int]:
        """Rank 0's ``values``, on every rank."""
        if self.world_size == 1:
            return list(values)
        decision = torch.tensor(values, dtype=torch.int64, device=self.device)
        dist.broadcast(decision, 0)
        return [int(value) for value in decision.tolist()]

    def guessing(self, split: Split) -> float:
        """Accuracy over a split of always answering with its most frequent class, the same on every rank; 0 where
        labels are no classes or there is no row."""
        ids = self.class_ids(split)
        return 0.0 if ids is None or len(ids) == 0 else float(np.bincount(ids).max() / len(ids))

    @torch.no_grad()
    def shrink(self, factor: float) -> None:
        """Multiply all parameters by ``factor``. What is dormant stays zero, as do the relations between weights."""
        for parameter in self.model.parameters():
            parameter.mul_(factor)

    def set_lr(self, lr: float) -> None:
        """Give every parameter the learning rate ``lr``."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr

    def _outputs(self, network: nn.Module, inputs: Tensor | Padded) -> Tensor | Padded:
        """Float32 outputs at the learner's precision."""
        outputs: Tensor | Padded
        if self.precision == "fp32":
            outputs = network(inputs)
            return outputs
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            outputs = network(inputs)
        return outputs.float()

    def _training_losses(
        self, network: nn.Module, inputs: Tensor | Padded, targets: Tensor | Padded, ids: np.ndarray
    ) -> Tensor:
        """The loss of each example, with the teacher's part if there is one."""
        outputs = self._outputs(network, inputs)
        losses = self.task.losses(outputs, targets)
        if self.teacher is None:
            return losses
        weight, temperature, labelled = self.teacher.weight, self.teacher.temperature, losses
        if self.teacher.replay_only:
            asked = self.teacher.asked_about(ids, self.data.old_rows)
            if not len(asked):
                return losses
            rows = torch.from_numpy(asked).to(self.device)
            inputs, outputs, targets = (take(values, rows) for values in (inputs, outputs, targets))
            labelled = losses[rows]
        with torch.no_grad():
            taught = self._outputs(self.teacher.model, inputs)
        divergences = self.task.divergences(outputs, taught, targets, temperature)
        mixed = (1.0 - weight) * labelled + weight * temperature**2 * divergences
        return losses.index_copy(0, rows, mixed) if self.teacher.replay_only else mixed

    def _to_device(self, batch: Batch) -> tuple[Tensor | Padded, Tensor | Padded]:
        return batch.inputs.to(self.device, non_blocking=True), batch.targets.to(self.device, non_blocking=True)

    def _sum(self, tensor: Tensor) -> Tensor:
        if self.world_size > 1:
            moved = tensor.to(self.device)
            dist.all_reduce(moved)
            return moved.cpu()
        return tensor

    def _require_finite(self, mean: float, epoch: int) -> None:
        if not np.isfinite(mean):
            raise TrainingError(
                f"the training loss became {mean} in epoch {epoch}: try a lower plan.lr, or plan.clip_norm=1"
            )

    def _count(self) -> FlopCount:
        if self._uses is None:
            if self.data.old_rows + self.data.new_rows == 0:
                raise TrainingError("there is no training example")
            batch = next(iter(self.data.scan(np.array([self.data.typical_id()]), 1, 0, 1)))
            self._uses = count_uses(self.model, self.task.prepare(self._to_device(batch)[0], None))
        return self._uses

    def _sparse(self) -> float:
        if self._flops_generation != self.masks.generation:
            self._sparse_forward = self._count().sparse_forward(self.masks)
            self._flops_generation = self.masks.generation
        return self._sparse_forward

    def _charge_training(self, examples: int, asked: float) -> None:
        dense = self._count().dense_forward()
        self.ledger.charge(examples, training_flops(self._sparse()), training_flops(dense))
        if self.teacher is not None:
            if self._teacher_forward is None:
                self._teacher_forward = self._count().sparse_forward(self.teacher.masks)
            self._charge_forward(examples * asked, self._teacher_forward)

    def _charge_forward(self, examples: float, sparse_forward: float) -> None:
        """Put forward passes without backward ones into the ledger: each is a third of an example."""
        dense = self._count().dense_forward()
        self.ledger.charge(examples / 3.0, training_flops(sparse_forward), training_flops(dense))
