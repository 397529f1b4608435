"""The methods of the matrix: one setting each for all data sets and all kinds of arrival. What may differ is what
raygp's plans differ in: the kind of model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmarks.cost.methods import DENSE, changed
from raygp.report.baseline import FINE_TUNING_EPOCHS
from raygp.update.plan import Plan
from raygp.update.plans import named_plan


@dataclass(frozen=True)
class Method:
    """What makes the parent (uncharged), and what is charged."""

    plan: Plan
    parent: Plan | None
    """None: trained from scratch on everything."""
    dense: bool
    ladder: bool = False
    """Whether safer plans follow one that is refused."""


def _sparse(task: str, name: str = "default", ladder: bool = True) -> Method:
    return Method(named_plan(name, "update", task), named_plan("default", "synthesis", task), False, ladder)


def _by_class(task: str) -> Method:
    method = _sparse(task)
    return replace(method, plan=changed(method.plan, {"replay": {"by_class": "auto"}}))


def _third(task: str, by_class: str = "never") -> Method:
    method = _sparse(task, ladder=False)
    return replace(method, plan=changed(method.plan, {"fit": None, "replay": {"share": 0.3, "by_class": by_class}}))


def _dense_start(task: str) -> Plan:
    return changed(named_plan("default", "synthesis", task), DENSE)


def _fine_tuning(task: str) -> Method:
    start = _dense_start(task)
    plan = changed(
        named_plan("default", "update", task),
        DENSE,
        {"epochs": FINE_TUNING_EPOCHS, "lr": FINE_TUNING_LR * start.lr, "optimizer": start.optimizer.model_dump()},
    )
    return Method(plan, start, True)


FINE_TUNING_LR = 0.5
"""The peak learning rate of fine-tuning, as a part of the one that the first version is trained with."""

METHODS: dict[str, Callable[[str], Method]] = {
    "raygp": _sparse,
    "by-class": _by_class,
    "third": _third,
    "third-by-class": lambda task: _third(task, "auto"),
    "raygp-first": lambda task: _sparse(task, ladder=False),
    "hardest": lambda task: _sparse(task, "hardest", ladder=False),
    "paper": lambda task: _sparse(task, "paper", ladder=False),
    "fine-tuning": _fine_tuning,
    "scratch": lambda task: Method(_dense_start(task), None, True),
}
"""By name, from the name of a task to the method."""
