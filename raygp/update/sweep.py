"""Sweeps as data: the space of plans, what a trial came to, which trial is best. No Ray in here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from raygp.errors import InputError
from raygp.update.plan import Plan, Settings, Share

Point = dict[str, Any]
"""Values by dotted path of a plan's field, such as {"alpha": 0.3, "phases.1.end": 0.6}."""

_ARGUMENTS = {"uniform": 2, "loguniform": 2, "quniform": 3, "randint": 2, "lograndint": 2}


class Distribution(Settings):
    """How a field is drawn; names and arguments are those of Ray Tune. Exactly one is given.

    In YAML: ``alpha: {choice: [0.0, 0.1, 0.3]}``, ``lr: {loguniform: [0.05, 0.3]}``, ``epochs: {randint: [4, 9]}``.
    """

    choice: tuple[Any, ...] | None = None
    """One of these values."""
    grid_search: tuple[Any, ...] | None = None
    """Each of these values in turn."""
    uniform: tuple[float, ...] | None = None
    """(lower, upper)."""
    loguniform: tuple[float, ...] | None = None
    """(lower, upper), both above 0."""
    quniform: tuple[float, ...] | None = None
    """(lower, upper, step)."""
    randint: tuple[int, ...] | None = None
    """(lower, upper), upper excluded."""
    lograndint: tuple[int, ...] | None = None
    """(lower, upper), upper excluded, both above 0."""

    @model_validator(mode="after")
    def _is_one(self) -> Distribution:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give one of {', '.join(type(self).model_fields)}")
        name = given[0]
        values = getattr(self, name)
        if not values:
            raise ValueError(f"{name} needs at least one value")
        if name in _ARGUMENTS:
            if len(values) != _ARGUMENTS[name]:
                raise ValueError(f"{name} takes {_ARGUMENTS[name]} numbers, not {len(values)}")
            if values[0] >= values[1]:
                raise ValueError(f"{name}: {values[0]} is not below {values[1]}")
            if name.startswith("log") and values[0] <= 0:
                raise ValueError(f"{name} needs numbers above 0")
        return self

    @property
    def kind(self) -> str:
        """Tune's name of it."""
        return next(name for name in type(self).model_fields if getattr(self, name) is not None)

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Tune's arguments."""
        return getattr(self, self.kind)

    def admits(self, value: Any) -> bool:
        """Whether a value lies in it."""
        if self.kind in ("choice", "grid_search"):
            return value in self.arguments
        low, high = self.arguments[:2]
        return isinstance(value, int | float) and low <= value <= high


class SweepSettings(Settings):
    """How the plan of each arrival is searched for."""

    space: dict[str, Distribution] = Field(default_factory=dict)
    """By dotted path of a plan's field. Empty: :func:`default_space` of the plan."""
    trials: Annotated[int, Field(ge=1, le=10_000)] = 8
    """Points drawn (with ``grid_search``: for each point of the grid). The plan itself is always the first."""
    concurrent: Annotated[int, Field(ge=1)] = 2
    """Trials that run at the same time."""
    scheduler: Literal["asha", "none"] = "asha"
    """asha: stop trials early that are behind (asynchronous successive halving); none: run all to their end."""
    grace_epochs: Annotated[int, Field(ge=1)] = 2
    """asha: epochs that every trial may run."""
    objective: Literal["accuracy", "connections", "cost"] = "accuracy"
    """What decides between trials whose accuracy is within ``tolerance`` of the best: then connections, then cost
    (accuracy: in this order; cost: cost first). accuracy with tolerance 0: the most accurate."""
    tolerance: Share = 0.001
    """Validation accuracies that differ by no more than this count as equal, as a fraction."""
    max_hours: Annotated[float, Field(gt=0.0)] | None = None
    """Start no trial after so long."""

    @field_validator("space", mode="after")
    @classmethod
    def _paths(cls, space: dict[str, Distribution]) -> dict[str, Distribution]:
        for path in space:
            if not all(path.split(".")):
                raise ValueError(f"'{path}' is no path of a setting")
        return space


def default_space(plan: Plan) -> dict[str, Distribution]:
    """Growth ratio, final density, and how much of the data is seen: around what ``plan`` says."""
    space = {"alpha": Distribution(choice=(0.0, 0.1, 0.3, 0.6))}
    low, high = 0.6 * plan.density, min(1.0, 1.4 * plan.density)
    space["density"] = Distribution(uniform=(round(low, 4), round(high, 4)))
    if plan.epochs > 2:
        space["epochs"] = Distribution(randint=(max(2, plan.epochs // 2), plan.epochs + 1))
    if 0.0 < plan.arrival.share < 1.0:
        space["arrival.share"] = Distribution(uniform=(plan.arrival.share / 2, min(1.0, plan.arrival.share * 1.5)))
    return space


def plan_of(plan: Plan, point: Mapping[str, Any]) -> Plan:
    """``plan`` with the fields that a point names.

    Raises:
        InputError: a field does not exist, or the value does not fit; the message names the field.
    """
    tree = plan.model_dump(mode="json")
    for path, value in point.items():
        *parents, last = path.split(".")
        node: Any = tree
        for part in parents:
            node = _child(node, part, path)
        _child(node, last, path)
        node[int(last) if isinstance(node, list) else last] = value
    try:
        return Plan.model_validate(tree)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}" for problem in error.errors()
        )
        raise InputError(f"sweep.space: {dict(point)} makes no plan: {problems}") from error


def _child(node: Any, part: str, path: str) -> Any:
    if isinstance(node, dict) and part in node:
        return node[part]
    if isinstance(node, list) and part.isdigit() and int(part) < len(node):
        return node[int(part)]
    raise InputError(f"sweep.space: a plan has no setting '{path}'")


def own_point(plan: Plan, space: Mapping[str, Distribution]) -> Point | None:
    """The plan's own place in the space; None if it lies outside.

    Raises:
        InputError: a field does not exist.
    """
    tree = plan.model_dump(mode="json")
    point = {}
    for path, distribution in space.items():
        node: Any = tree
        for part in path.split("."):
            node = _child(node, part, path)
        if not distribution.admits(node):
            return None
        point[path] = node
    return point


@dataclass(frozen=True)
class TrialResult:
    """What became of one point."""

    point: Point
    state: Literal["finished", "stopped", "failed"]
    """stopped: by the scheduler, for being behind."""
    epochs: int
    val_accuracy: float
    active_connections: int
    examples: float
    """Spent by this trial; shared work is not in it."""
    run: str = ""
    """Name of its run in storage."""

    @property
    def name(self) -> str:
        """Eight digits that stand for the point."""
        return hashlib.sha256(json.dumps(self.point, sort_keys=True).encode()).hexdigest()[:8]


def best_trial(results: Sequence[TrialResult], settings: SweepSettings) -> tuple[TrialResult, str]:
    """The winner among finished trials, and why it won.

    Raises:
        InputError: none finished.
    """
    finished = [result for result in results if result.state == "finished"]
    if not finished:
        raise InputError("no trial of the sweep finished: nothing to choose from")
    top = max(result.val_accuracy for result in finished)
    close = [result for result in finished if result.val_accuracy >= top - settings.tolerance - 1e-12]
    keys = {
        "accuracy": lambda r: (r.active_connections, r.examples, -r.val_accuracy),
        "connections": lambda r: (r.active_connections, -r.val_accuracy, r.examples),
        "cost": lambda r: (r.examples, r.active_connections, -r.val_accuracy),
    }
    winner = min(close, key=keys[settings.objective])
    if len(close) == 1:
        return winner, "most accurate, no other within tolerance"
    what = "least cost" if settings.objective == "cost" else "fewest connections"
    return winner, f"{what} of {len(close)} trials within {100 * settings.tolerance:g} points of {top:.2%}"


def pareto_front(results: Sequence[TrialResult]) -> set[str]:
    """Names of the finished trials that no other beats in accuracy, connections and cost at once."""
    finished = [result for result in results if result.state == "finished"]

    def values(r: TrialResult) -> tuple[float, float, float]:
        return (-r.val_accuracy, r.active_connections, r.examples)

    def beaten(r: TrialResult) -> bool:
        return any(
            values(o) != values(r) and all(a <= b for a, b in zip(values(o), values(r), strict=True)) for o in finished
        )

    return {result.name for result in finished if not beaten(result)}
