"""All methods by name, their recipes, and one run of one of them as a JSON row."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from benchmarks.stream.arrivals import Stream, Told, forgetting
from benchmarks.stream.chain import plan_for, run_chain
from benchmarks.stream.dense import CHOICES, run_dense
from benchmarks.stream.peers import run_peer
from raygp.errors import InputError
from raygp.update.plan import Plan

Row = dict[str, Any]
RECIPES = Path(__file__).resolve().parents[1] / "recipes" / "continual.yaml"
PEERS = {
    f"{kind}-{memory}": (kind, memory) for kind in ("er", "der++", "gdumb") for memory in (500, 5120)
}  # fmt: skip
"""Methods of avalanche-lib, with their memory."""
METHODS: dict[str, str] = {
    "fine-tuning": "fine-tuning",
    "er-500": "ER, memory 500", "er-5120": "ER, memory 5,120",
    "der++-500": "DER++, memory 500", "der++-5120": "DER++, memory 5,120",
    "gdumb-500": "GDumb, memory 500", "gdumb-5120": "GDumb, memory 5,120",
    "replay-all": "ER over all stored", "uniform": "uniform over all stored",
    "uniform-share": "uniform, more for later arrivals",
    "joint": "joint, one pass", "joint-2": "joint, two passes",
    "raygp-default": "raygp, its default plan", 
    "raygp-even": "raygp, twice each arrival", "raygp": "raygp, more for later arrivals",
}  # fmt: skip
"""Names, and what tables call them."""


def read_recipes() -> dict[str, Any]:
    """The recorded recipe of each method; ``--search`` finds them.

    Raises:
        InputError: there are none.
    """
    if not RECIPES.exists():
        raise InputError(f"{RECIPES} does not exist: run benchmarks/continual.py --search first")
    return yaml.safe_load(RECIPES.read_text())


def recipe_of(recipes: dict[str, Any], method: str) -> dict[str, Any]:
    """What is recorded for a method. The default plan of raygp has no recipe.

    Raises:
        InputError: the method is unknown, or nothing is recorded for it.
    """
    if method not in METHODS:
        raise InputError(f"unknown method '{method}'; known are {', '.join(METHODS)}")
    if method == "raygp-default":
        return {}
    if method not in recipes:
        raise InputError(f"{RECIPES.name} has no recipe for {method}: run --search --method {method} first")
    return recipes[method]


def run(method: str, stream: Stream, recipe: dict[str, Any], seed: int, told: Told) -> Row:
    """Run a method once.

    Raises:
        InputError: it needs a package that is not installed.
    """
    started, cpu = time.perf_counter(), time.process_time()
    if method in CHOICES:
        found = run_dense(method, stream, recipe, seed, told)
    elif method in PEERS:
        found = run_peer(*PEERS[method], stream, recipe, seed, told)
    else:
        found = run_chain(stream, recipe, seed, told)
    last = found["after"][-1]
    at_once = method.startswith("joint")  # There are no earlier accuracies.
    return {
        "method": method, "seed": seed, "recipe": recipe, "train_rows": stream.rows,
        "examples": sum(found["spent"]["examples"]), "sparse_flops": sum(found["spent"]["sparse_flops"]),
        "seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu,
        **{f"{split}_accuracy": stream.mean_accuracy(split, by_class) for split, by_class in last.items()},
        **{
            f"{split}_forgetting": None if at_once else forgetting([step[split] for step in found["after"]])
            for split in last
        },
        **found,
    }  # fmt: skip


def is_of(row: Row, stream: Stream, recipe: dict[str, Any]) -> bool:
    """Whether a row was made with this recipe; for raygp, with the plans that it means today."""
    if row["recipe"] != recipe or row["train_rows"] != stream.rows:
        return False
    try:
        plans = [Plan.model_validate(plan) for plan in row.get("plans", [])]
    except ValidationError:
        return False
    return all(plan == plan_for(stream, number, recipe) for number, plan in enumerate(plans))
