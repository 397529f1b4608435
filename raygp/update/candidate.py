"""From a task and a parent (or nothing) to a learner that is ready to run an update."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from raygp.data.batches import TrainingData
from raygp.errors import InputError
from raygp.record import Look
from raygp.sparse import Masks, pack_bits, seed_sparse, unpack_bits, unpack_model
from raygp.store import read_tensors
from raygp.tasks.protocol import Task
from raygp.update.engine import Update
from raygp.update.fitting import Sizes
from raygp.update.job import UpdateJob
from raygp.update.ladder import Ladder
from raygp.update.learner import Learner
from raygp.update.observer import Observer
from raygp.update.plan import DistillationSettings, Plan
from raygp.update.probe import probe_rows
from raygp.update.rungs import Rung, rungs_of
from raygp.update.seeds import derive_seed, torch_generator
from raygp.update.shared import SharedWork
from raygp.update.teacher import Teacher


def make_update(
    job: UpdateJob,
    task: Task,
    data: TrainingData,
    observer: Observer,
    *,
    checkpoint_seconds: float | None,
    device: str | torch.device = "cpu",
    packed_gradients: bool = True,
    shared: SharedWork | None = None,
) -> Ladder:
    """The update that a job describes, on this worker, before its first step.

    Args:
        job: whose plan, parent and gate are used.
        task: the job's.
        data: the job's, as this worker reads them.
        observer: told of events, offered checkpoints.
        checkpoint_seconds: see :class:`raygp.update.engine.Update`.
        device: where to train.
        packed_gradients: send active connections only.
        shared: results of passes over the parent that are known.

    Raises:
        InputError: the parent's tensors cannot be read, or do not fit the task's model. The latter is raised when the
            ladder is run or resumed.
    """
    parent = job.parent
    tensors = read_tensors(job.location, parent) if parent else None
    known = len(parent.classes) if parent else None
    probe = probe_rows(job.catalog(), job.arrival.arrival)

    def make(plan: Plan, may_give_up: bool) -> Update:
        learner = make_learner(
            task,
            data,
            plan,
            num_classes=len(job.classes),
            seed=job.seed,
            parent=tensors,
            parent_classes=known,
            device=device,
            packed_gradients=packed_gradients,
        )
        learner.probe = probe
        return Update(
            plan,
            learner,
            data,
            seed=job.seed,
            has_parent=parent is not None,
            gate_tolerance=job.gate_tolerance,
            gate_confidence=job.gate_confidence,
            gate_class_tolerance=job.gate_class_tolerance,
            gate_new_margin=job.gate_new_margin,
            classes=job.classes,
            parent_classes=known,
            arrivals=[manifest.arrival for manifest in job.trained_on],
            observer=observer,
            shared=shared,
            checkpoint_seconds=checkpoint_seconds,
            may_give_up=may_give_up,
        )

    if parent is None:
        first = rungs_of(job.plan, Sizes(0, data.new_rows), ladder=False)
        return Ladder(lambda _: first, make, observer)
    sizes = sizes_of(task, data, len(parent.classes), len(job.classes))

    def rungs(look: Look | None) -> list[Rung]:
        return rungs_of(job.plan, sizes.seen(look), job.climbs)

    return Ladder(rungs, make, observer)


def sizes_of(task: Task, data: TrainingData, known: int, classes: int) -> Sizes:
    """What an update of these data has to do with.

    Args:
        task: the job's.
        data: the job's.
        known: classes of the parent.
        classes: of the candidate.
    """
    if not task.labels_are_classes:
        return Sizes(data.old_rows, data.new_rows)
    return Sizes(data.old_rows, data.new_rows, known, classes - known)


def make_learner(
    task: Task,
    data: TrainingData,
    plan: Plan,
    *,
    num_classes: int,
    seed: int,
    parent: Mapping[str, Tensor] | None = None,
    parent_classes: int | None = None,
    device: str | torch.device = "cpu",
    packed_gradients: bool = True,
) -> Learner:
    """A learner over the parent's model, or over a sparse random seed network.

    Args:
        task: what is learnt.
        data: the update's data.
        plan: whose optimizer, batch size, seed density and distillation are used.
        num_classes: classes of the candidate.
        seed: of the update; every rank must give the same.
        parent: the parent's compact form.
        parent_classes: how many classes the parent knows, if fewer.
        device: where to train.
        packed_gradients: send active connections only.

    Raises:
        InputError: the parent's tensors do not fit the task's model.
    """
    torch.manual_seed(derive_seed(seed, "initial-weights"))
    model = task.build_model(num_classes).to(device)
    masks = Masks(model, task.dense)
    teacher = None
    if parent is None:
        generator = torch_generator(seed, "initial-masks")
        seed_sparse(masks, plan.seed_density, generator, plan.distribution, task.density_bounds)
    else:
        known = num_classes if parent_classes is None else parent_classes
        new = num_classes - known
        try:
            unpack_model(_with_rows(task, parent, model, new), model, masks)
        except ValueError as error:
            raise InputError(f"the parent version does not fit task {task.name}: {error}") from error
        weight = plan.distillation.weight_for(data.old_rows, data.new_rows)
        if weight > 0.0:
            teacher = _make_teacher(task, parent, known, weight, plan.distillation, device)
    optimizer = plan.optimizer.make(model.parameters(), plan.lr)
    return Learner(
        task,
        model,
        masks,
        optimizer,
        data,
        seed=seed,
        batch_size=plan.batch_size,
        clip_norm=plan.clip_norm,
        packed_gradients=packed_gradients,
        precision=plan.precision,
        teacher=teacher,
    )


def _make_teacher(
    task: Task,
    parent: Mapping[str, Tensor],
    classes: int,
    weight: float,
    settings: DistillationSettings,
    device: str | torch.device,
) -> Teacher:
    model = task.build_model(classes).to(device)
    masks = Masks(model, task.dense)
    unpack_model(parent, model, masks)
    return Teacher(model.eval().requires_grad_(False), masks, weight, settings.temperature, settings.replay_only)


def _with_rows(task: Task, tensors: Mapping[str, Tensor], model: torch.nn.Module, rows: int) -> Mapping[str, Tensor]:
    """The compact form with rows for new classes in every output layer of the task."""
    if rows > 0:
        for layer in (task.classifier, *getattr(task, "other_outputs", ())):
            tensors = add_output_rows(tensors, layer, model, rows)
    return tensors


def add_output_rows(
    tensors: Mapping[str, Tensor], classifier: str, model: torch.nn.Module, rows: int
) -> dict[str, Tensor]:
    """The compact form with ``rows`` new classes: dormant connections, zero biases. Earlier class ids do not move.

    Args:
        tensors: compact form of the parent.
        classifier: name of the output layer.
        model: the larger model, whose output layer gives the shapes.
        rows: how many classes are new.
    """
    name = f"{classifier}.weight"
    grown = dict(tensors)
    new_shape = model.get_parameter(name).shape
    old_shape = (new_shape[0] - rows, *new_shape[1:])
    if f"mask/{name}" in tensors:
        mask = unpack_bits(tensors[f"mask/{name}"], old_shape)
        grown[f"mask/{name}"] = pack_bits(torch.cat([mask, torch.zeros(rows, *new_shape[1:], dtype=torch.bool)]))
    else:
        weight = tensors[f"dense/{name}"]
        grown[f"dense/{name}"] = torch.cat([weight, torch.zeros(rows, *new_shape[1:], dtype=weight.dtype)])
    if f"dense/{classifier}.bias" in tensors:
        bias = tensors[f"dense/{classifier}.bias"]
        grown[f"dense/{classifier}.bias"] = torch.cat([bias, torch.zeros(rows, dtype=bias.dtype)])
    return grown
