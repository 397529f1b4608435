"""One cell of the matrix with one method: trained in this process, one JSON row."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.anydata.arrivals import Part, data_of
from benchmarks.anydata.datasets import Loaded
from benchmarks.anydata.methods import Method
from raygp.record import CostLedger, Look
from raygp.sparse import pack_bits
from raygp.update.candidate import add_output_rows, make_learner, sizes_of
from raygp.update.checkpoints import load, save_outcome
from raygp.update.engine import Update
from raygp.update.ladder import Ladder
from raygp.update.measuring import metric_values
from raygp.update.observer import Silent
from raygp.update.outcome import Outcome
from raygp.update.plan import Plan
from raygp.update.rungs import Rung, rungs_of

Row = dict[str, Any]


def run_cell(loaded: Loaded, kind: str, cut: list[Part], name: str, method: Method, seed: int, folder: Path) -> Row:
    """Make the parent from the first arrival, fold in the others one by one, and measure.

    A candidate that the gate refuses is measured, charged and followed by nothing: the parent stays, as in a line.
    """
    started = time.process_time()
    row = {
        "data": loaded.name,
        "arrival": kind,
        "method": name,
        "seed": seed,
        "plan": method.plan.model_dump(mode="json"),
    }
    if method.parent is None:
        joined = data_of(cut[:-1], cut[-1])
        joined.old_rows = 0
        outcome = train(loaded, method.plan, joined, cut[-1].classes, seed)
        return row | _measured([outcome], outcome, joined, started, [True])
    parent = _parent(
        loaded, method, cut[0], seed, folder / "parents" / f"{loaded.name}-{kind}-{seed}-{_digest(method.parent)}"
    )
    outcomes, promoted, classes, best = [], [], cut[0].classes, parent
    for number in range(1, len(cut)):
        data = data_of(cut[:number], cut[number])
        outcome = train(
            loaded,
            method.plan,
            data,
            cut[number].classes,
            seed + 1000 * number,
            best,
            classes,
            method.dense,
            method.ladder,
        )
        outcomes.append(outcome)
        promoted.append(outcome.verdict.promoted)
        if outcome.verdict.promoted:
            best, classes = outcome, cut[number].classes
    return row | _measured(outcomes, outcomes[-1], data, started, promoted)


def _measured(outcomes: list[Outcome], last: Outcome, data: Any, started: float, promoted: list[bool]) -> Row:
    ledger = CostLedger()
    for outcome in outcomes:
        ledger = ledger.plus(outcome.record.ledger)
    record = last.record
    return {
        "val_accuracy": record.val_accuracy, "parent_val_accuracy": record.parent_val_accuracy,
        "test_accuracy": record.test_accuracy,
        "val_by_arrival": record.accuracy_by_arrival,
        "promoted": all(promoted), "refusals": promoted.count(False), "reason": last.verdict.reason,
        "examples": ledger.examples, "sparse_flops": ledger.sparse_flops, "cpu_seconds": time.process_time() - started,
        "rungs": [rung.model_dump(exclude={"changes"}) for rung in record.rungs],
        "look": record.look and record.look.model_dump(),
        "density": record.density, "train_rows": len(data.train),
    }  # fmt: skip


def train(
    loaded: Loaded,
    plan: Plan,
    data: Any,
    classes: int,
    seed: int,
    parent: Outcome | None = None,
    parent_classes: int | None = None,
    dense: bool = False,
    ladder: bool = False,
) -> Outcome:
    """One update, or a first version."""
    tensors: Mapping[str, Tensor] | None = parent.tensors if parent else None
    known = parent_classes
    if tensors is not None and dense and known is not None and known < classes:
        tensors, known = _with_dense_rows(loaded, tensors, classes, known), classes
    learners = []

    def make(rung: Plan, may_give_up: bool) -> Update:
        learner = make_learner(
            loaded.task, data, rung, num_classes=classes, seed=seed, parent=tensors, parent_classes=known
        )
        learners.append(learner)
        return Update(
            rung,
            learner,
            data,
            seed=seed,
            has_parent=parent is not None,
            classes=loaded.classes[:classes],
            parent_classes=parent_classes,
            may_give_up=may_give_up,
        )

    def rungs(look: Look | None) -> list[Rung]:
        if parent is None or parent_classes is None:
            return [Rung("plan", plan, {})]
        sizes = sizes_of(loaded.task, data, parent_classes, classes).seen(look)
        return rungs_of(plan, sizes, ladder)

    outcome = Ladder(rungs, make, Silent()).run()
    if outcome.record.test_accuracy is None:
        # The gate refused it. The matrix shows how good it was all the same.
        outcome.record.test_accuracy = metric_values(learners[-1].scores("test"))[0]
    return outcome


def _with_dense_rows(loaded: Loaded, tensors: Mapping[str, Tensor], classes: int, known: int) -> Mapping[str, Tensor]:
    """A dense network gets its new outputs at once: nobody would wait for them to be grown."""
    model = loaded.task.build_model(classes)
    grown = add_output_rows(tensors, loaded.task.classifier, model, classes - known)
    name = f"mask/{loaded.task.classifier}.weight"
    if name in grown:
        shape = model.get_parameter(f"{loaded.task.classifier}.weight").shape
        values = f"value/{loaded.task.classifier}.weight"
        old = tensors[values].numel()
        grown[name] = pack_bits(torch.ones(shape, dtype=torch.bool))
        grown[values] = torch.cat([tensors[values], torch.zeros(shape.numel() - old)])
    return grown


def _parent(loaded: Loaded, method: Method, first: Part, seed: int, home: Path) -> Outcome:
    """Trained once for all methods that start from it."""
    assert method.parent is not None
    if not (home / "done").exists():
        outcome = train(loaded, method.parent, data_of([], first), first.classes, seed)
        home.mkdir(parents=True, exist_ok=True)
        save_outcome(home, outcome)
        (home / "done").touch()
    outcome = load(home)
    assert isinstance(outcome, Outcome)
    return outcome


def _digest(plan: Plan) -> str:
    return hashlib.sha256(json.dumps(plan.identity(), sort_keys=True).encode()).hexdigest()[:8]
