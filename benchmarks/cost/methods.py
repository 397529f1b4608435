"""The methods that are compared, each as plans for raygp's engine.

Dense methods are plans that never leave density 1, so that all methods run through the same loop, on the same data
order, and are charged by the same ledger.

======== ======================================================= ==========================
method   starts from (not charged)                               is charged for
======== ======================================================= ==========================
tfs      random weights                                          dense training on all data
best     random weights; the budget with the highest accuracy    as tfs: gives the reference
nft      a dense model trained on the old data                   fine-tuning on all data
gp-fs    a sparse random seed network                            growing and pruning on all data
raygp    a compact model synthesised from the old data           one update, default plan
paper    the same model                                          one update, plan ``paper``
======== ======================================================= ==========================

``few-tfs`` and ``few-nft`` are tfs and nft of a dense network with fewer units, which has as many connections as
raygp's model; ``fast-tfs`` and ``fast-nft`` of one that takes as much arithmetic for an example
(:mod:`benchmarks.cost.narrow`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from benchmarks.cost.narrow import Measure
from raygp.errors import InputError
from raygp.update.plan import Plan
from raygp.update.plans import Role, named_plan

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
NARROW: dict[str, Measure] = {"few": "connections", "fast": "arithmetic"}
"""Dense networks of fewer units, by what they have as much of as raygp's."""
METHODS = ("best", "tfs", "nft", "gp-fs", "raygp", "paper", "few-tfs", "few-nft", "fast-tfs", "fast-nft")
FROM_SCRATCH = ("best", "tfs", "gp-fs", "few-tfs", "fast-tfs")
"""Methods to which all data are new: the share makes no difference."""
DENSE: dict[str, Any] = {
    "name": "dense",
    "phases": [{"kind": "prune-permanent", "gradual": True}],
    "seed_density": 1.0,
    "density": 1.0,
    "replay": {"share": 1.0, "leave_out": 0.0},
    "arrival": {"share": 1.0},
    "shrink": 1.0,
    "distillation": {"weight": 0.0, "fades_at": None},
    "fit": None,
}


@dataclass(frozen=True)
class Method:
    """What is trained before the clock starts, and what is charged."""

    name: str
    plan: Plan
    parent: Plan | None = None
    """On the old data alone, uncharged. None: the method starts from scratch, and all data are new to it."""
    narrow: Measure | None = None
    """What the network has as much of as raygp's; None: it is the workload's own."""

    @property
    def incremental(self) -> bool:
        """Whether the share of new data makes a difference."""
        return self.parent is not None


def read_recipes(workload: str) -> dict[str, Any]:
    """Recorded recipes: by method, changes to its plan; ``benchmarks/tune_baselines.py`` finds them.

    Raises:
        InputError: there are none for this workload.
    """
    file = RECIPES / f"{workload}.yaml"
    if not file.exists():
        raise InputError(f"{file} does not exist: run benchmarks/tune_baselines.py --workload {workload} first")
    return yaml.safe_load(file.read_text())


def default_updates(recipes: dict[str, Any]) -> dict[str, Any]:
    """Recipes without raygp's own: its updates then follow the task's default plan, from the recorded ``parent``."""
    return {**recipes, "raygp": {}}


def make_method(name: str, task: str, recipes: dict[str, Any], new_share: float, precision: str = "fp32") -> Method:
    """A method with the recipe recorded for it.

    Args:
        name: one of :data:`METHODS`.
        task: name of the task, whose own plans are the starting point.
        recipes: as :func:`read_recipes` gives them; one may differ by share of new data (``{0.5: ..., 0.1: ...}``).
        new_share: the share.
        precision: of all passes.
    """
    narrow, _, base = name.rpartition("-")
    if narrow in NARROW:
        # "nft" takes its parent's recipe from "best": here that is the one of the same network from scratch.
        own_recipes = {"best": recipes.get(f"{narrow}-tfs"), base: recipes.get(name)}
        return replace(make_method(base, task, own_recipes, new_share, precision), name=name, narrow=NARROW[narrow])
    recipe = _recipe(recipes, name, new_share)
    # A recipe may say how its parent is trained.
    own = {key: value for key, value in recipe.items() if key != "parent"}

    def plan(base: str, role: Role, *changes: dict[str, Any]) -> Plan:
        return changed(named_plan(base, role, task), *changes, {"precision": precision})

    if name in ("tfs", "best"):
        return Method(name, plan("default", "synthesis", DENSE, recipe))
    if name == "nft":
        dense_parent = plan("default", "synthesis", DENSE, recipe.get("parent") or recipes.get("best") or {})
        return Method(name, plan("default", "update", DENSE, own), dense_parent)
    if name == "gp-fs":
        return Method(name, plan("default", "synthesis", recipe))
    if name in ("raygp", "paper"):
        # The paper's plan starts from the parent of raygp.
        parent = _recipe(recipes, "raygp", new_share).get("parent") or recipes.get("parent") or {}
        update = plan("default" if name == "raygp" else "paper", "update", own)
        return Method(name, update, plan("default", "synthesis", parent))
    raise InputError(f"unknown method '{name}'; known are {', '.join(METHODS)}")


def _recipe(recipes: dict[str, Any], name: str, new_share: float) -> dict[str, Any]:
    recipe = recipes.get(name) or {}
    if any(isinstance(key, float) for key in recipe):
        recipe = recipe[min(recipe, key=lambda share: abs(share - new_share))]
    return recipe


def changed(plan: Plan, *changes: dict[str, Any]) -> Plan:
    """A plan with fields replaced; mappings are merged one level deep."""
    fields = plan.model_dump(mode="json")
    for change in changes:
        for key, value in change.items():
            fields[key] = fields[key] | value if isinstance(value, dict) else value
    return Plan.model_validate(fields)
