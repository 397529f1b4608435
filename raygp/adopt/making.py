"""From a checkpoint to the first version of a line: dense, as it was trained, and measured."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from raygp.adopt.checkpoint import Checkpoint
from raygp.adopt.held_out import HeldOutRows
from raygp.adopt.matching import Match, load, match, outputs_of
from raygp.adopt.vocabulary import Vocabulary, choose_classes
from raygp.data.catalog import Catalog, build_catalog
from raygp.errors import InputError
from raygp.record import CostLedger, RunningRecord, UpdateRecord
from raygp.sparse import Masks
from raygp.store import Card, Location, Manifest, Origin
from raygp.store.documents import utc_now
from raygp.tasks import Task
from raygp.update.gate import GateSettings
from raygp.update.judging import Judge
from raygp.update.learner import Learner
from raygp.update.outcome import Outcome
from raygp.update.plans import named_plan
from raygp.update.probe import Probe, probe_rows
from raygp.update.seeds import derive_seed

PLAN = "adopted"
"""What a card says in place of the plan that made the version."""


@dataclass(frozen=True)
class Dense:
    """A model that is about to become the first version, and what was found out about it."""

    card: Card
    """Without its files."""
    tensors: dict[str, Tensor]
    """The model in compact form."""
    prefix: str
    """What stood before the names in the checkpoint."""
    head_is_new: bool
    """Whether the output layer is untrained."""
    guesses: bool
    """Whether it is no better than guessing on validation."""
    test_left_out: int
    """Test rows of classes that it does not know."""
    catalog: Catalog
    """Of all held-out rows."""
    notes: tuple[str, ...]
    """What else of the checkpoint a person has to know."""
    probe: Probe | None
    """What it made of a few of them, for who loads it later; None where some rows were left out."""


def make_dense(
    location: Location,
    spec: dict[str, Any],
    task: Task,
    arrivals: Sequence[Manifest],
    checkpoint: Checkpoint,
    classes: str | os.PathLike[str] | Sequence[str] | None,
    seed: int,
    place: tuple[str, str | None],
    watch: Callable[[int, int], None],
) -> Dense:
    """Build the line's model, fill it from a checkpoint, and measure it on what arrivals hold out. Nothing is written.

    Args:
        location: root of the line.
        spec: the line's task, as line.json has it.
        task: made from it.
        arrivals: all of the line, oldest first.
        checkpoint: that was read.
        classes: their order, or a file that has it; None: see :func:`raygp.adopt.vocabulary.choose_classes`.
        seed: of what is new in the model.
        place: name of the version that it becomes, and of the one in whose place it comes, if there is one.
        watch: told of how many rows, of how many, the model has answered.

    Raises:
        InputError: checkpoint, classes and line do not fit each other, or there is no validation row to measure on.
    """
    # Only names and shapes are wanted of the first; the number of its outputs is any.
    outputs = outputs_of(checkpoint, _new_model(task, 2, seed), task.classifier)
    chosen = choose_classes(classes, checkpoint.class_lists, outputs, arrivals, task.reserved, checkpoint.where)
    model = _new_model(task, len(chosen.classes), seed)
    found = match(checkpoint, model, task.classifier, task.name)
    converted = load(found, model)
    done = 0

    def count(rows: int) -> None:
        nonlocal done
        done += rows
        watch(done, total)

    rows = HeldOutRows(location, arrivals, chosen.classes, task, count)
    total = rows.rows("val") + rows.rows("test")
    if not rows.rows("val"):
        raise InputError(
            f"{location.root}: no arrival has a validation row of a class that {checkpoint.where} knows, so the model "
            "could not be measured: ingest some with raygp ingest, with --val-share above 0"
        )
    catalog = build_catalog(location, arrivals[:-1], arrivals[-1:], chosen.classes, replays=False)
    probed = None if rows.left_out["val"] else probe_rows(catalog, "")
    outcome = _measure(model, task, rows, chosen.classes, seed, probed)
    origin = _origin(checkpoint, found, chosen, converted, rows.left_out["val"])
    card = _card(outcome.record, origin, spec, chosen.classes, seed, place)
    head = f"{task.classifier}.weight"
    head_is_new = head in dict(model.named_parameters()) and head not in found.tensors
    return Dense(
        card,
        outcome.tensors,
        found.prefix,
        head_is_new,
        not outcome.verdict.promoted,
        rows.left_out["test"],
        catalog,
        (*checkpoint.notes, *chosen.notes, *found.notes),
        outcome.probe,
    )


def _new_model(task: Task, classes: int, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):  # Nobody else's draws move by these.
        torch.manual_seed(derive_seed(seed, "initial-weights"))
        return task.build_model(classes)


def _measure(
    model: nn.Module, task: Task, rows: HeldOutRows, classes: Sequence[str], seed: int, probed: np.ndarray | None
) -> Outcome:
    """What an update would say of the model; its verdict is whether it is better than guessing."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    masks = Masks(model.to(device), task.dense)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)  # No step is ever made.
    learner = Learner(task, model, masks, optimizer, rows, seed=seed, batch_size=1)
    learner.probe = probed
    judge = Judge(learner, False, GateSettings(tolerance=1.0), classes)
    running = RunningRecord(phases=[], ledger=CostLedger(), val_accuracy=0.0, mask_digest=masks.digest())
    return judge.outcome(running, named_plan("default", "synthesis"), 0)


def _origin(
    checkpoint: Checkpoint, found: Match, chosen: Vocabulary, converted: Sequence[str], left_out: int
) -> Origin:
    shaped = [text.split(" ", 1)[0] for text in found.other_shape]
    return Origin(
        files=list(checkpoint.files),
        loaded=len(found.tensors),
        made_new=[*found.made_new, *shaped],
        left_over=list(found.left_over),
        other_shape=list(found.other_shape),
        converted=list(converted),
        classes_from=chosen.source,
        left_out=left_out,
    )


def _card(
    record: UpdateRecord,
    origin: Origin,
    spec: dict[str, Any],
    classes: Sequence[str],
    seed: int,
    place: tuple[str, str | None],
) -> Card:
    """The card of a version that has seen no arrival: all of them wait for the updates that follow."""
    identity = [[file.sha256 for file in origin.files], list(classes), seed if origin.made_new else 0]
    digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    return Card(
        **dict(record),
        version=place[0],
        parent=place[1],
        update=f"{place[0]}-{PLAN}-{digest[:8]}",
        created=utc_now()[:19] + "+00:00",
        arrivals=[],
        arrival="",
        classes=list(classes),
        task=dict(spec),
        plan={"name": PLAN},
        seed=seed,
        workers=1,
        manifests={},
        origin=origin,
    )
