"""raygp on the stream: a first version, then an update an arrival, each from the version before."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks.cost.methods import changed
from benchmarks.stream.arrivals import Stream, Told
from raygp.data.resident import ResidentData
from raygp.sparse import Masks, unpack_model
from raygp.update.candidate import make_learner
from raygp.update.engine import Update
from raygp.update.fitting import Sizes
from raygp.update.plan import Plan
from raygp.update.plans import Role, named_plan
from raygp.update.seeds import derive_seed
from raygp.update.state import Tensors


def plan_for(stream: Stream, arrival: int, recipe: dict[str, Any]) -> Plan:
    """The plan of one arrival: the default one with the changes of a recipe.

    Args:
        stream: whose task has plans.
        arrival: its number; the first is a synthesis.
        recipe: changes to the plans of both roles; under ``synthesis`` and ``update``, those of one role. ``replayed``
            is the number of replayed examples, in sizes of the arrival: it becomes ``replay.share`` of what has been
            stored until then.
    """
    role: Role = "update" if arrival else "synthesis"
    both = {key: value for key, value in recipe.items() if key not in ("synthesis", "update", "replayed")}
    changes = [both, recipe.get(role) or {}]
    if arrival and "replayed" in recipe:
        stored = len(stream.up_to(arrival - 1))
        changes.append({"replay": {"share": min(1.0, recipe["replayed"] * len(stream.arrivals[arrival]) / stored)}})
    if recipe:
        changes.append({"fit": None})  # A recipe is carried out as it was searched.
    plan = changed(named_plan("default", role, stream.task.spec.model_dump(mode="json")), *changes)
    if not arrival:
        return plan
    known = stream.known(arrival - 1)
    new = stream.known(arrival) - known
    return plan.fitted(Sizes(len(stream.up_to(arrival - 1)), len(stream.arrivals[arrival]), known, new))


def run_chain(stream: Stream, recipe: dict[str, Any], seed: int, told: Told) -> dict[str, Any]:
    """Carry out a synthesis and the updates; the arrival's classes are new to each.

    Returns:
        Fields of the run's row: accuracies after each arrival, plans, what was spent, what is left active.
    """
    parent: Tensors | None = None
    after: list[dict[str, list[float]]] = []
    spent: dict[str, list[float]] = {"examples": [], "sparse_flops": []}
    verdicts, record = [], None
    plans = [plan_for(stream, number, recipe) for number in range(len(stream.arrivals))]
    for number, (plan, rows) in enumerate(zip(plans, stream.arrivals, strict=True)):
        old = stream.up_to(number - 1) if number else np.array([], dtype=np.int64)
        data = ResidentData(
            stream.train.take(np.concatenate([old, rows])), len(old), {"val": stream.seen("val", number)}
        )
        known = stream.known(number)
        own_seed = derive_seed(seed, "arrival", number)
        learner = make_learner(
            stream.task, data, plan, num_classes=known, seed=own_seed, parent=parent,
            parent_classes=stream.known(number - 1) if number else None,
        )  # fmt: skip
        # As in the cost protocol, the gate lets everything through: the table says how good a candidate is.
        update = Update(plan, learner, data, seed=own_seed, has_parent=number > 0, gate_tolerance=1.0)
        outcome = update.run()
        parent, record = outcome.tensors, outcome.record
        after.append(stream.accuracies(_model(stream, parent, known), number))
        spent["examples"].append(record.ledger.examples)
        spent["sparse_flops"].append(record.ledger.sparse_flops)
        verdicts.append(outcome.verdict.reason)
        told(number, after[-1])
    assert record is not None
    return {
        "after": after, "spent": spent, "active_connections": record.active_connections,
        "total_connections": record.total_connections, "densities": record.densities, "verdicts": verdicts,
        "plans": [plan.identity() for plan in plans],
    }  # fmt: skip


def _model(stream: Stream, tensors: Tensors, classes: int) -> torch.nn.Module:
    model = stream.task.build_model(classes)
    unpack_model(tensors, model, Masks(model, stream.task.dense))
    return model
