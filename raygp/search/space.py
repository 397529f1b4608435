"""The space of a sweep: which settings of a plan may change, and from what their values are drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError, model_validator

from raygp.errors import InputError
from raygp.update.fields import Settings
from raygp.update.plan import Plan

if TYPE_CHECKING:
    from raygp.search.settings import SweepSettings

Point = dict[str, Any]
"""Values by dotted path of a plan's field, such as {"alpha": 0.3, "phases.1.end": 0.6}."""

_ARGUMENTS = {"uniform": 2, "loguniform": 2, "quniform": 3, "randint": 2, "lograndint": 2}


class Draw(Settings):
    """What the value of a field is drawn from. Names and arguments are those of Ray Tune; exactly one is given.

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
    def _is_one(self) -> Draw:
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
        arguments: tuple[Any, ...] = getattr(self, self.kind)
        return arguments

    @property
    def extremes(self) -> tuple[Any, ...]:
        """All its values, or the lowest and the highest."""
        if self.kind in ("choice", "grid_search"):
            return self.arguments
        low, high = self.arguments[:2]
        return (int(low), int(high) - 1) if "int" in self.kind else (low, high)

    def admits(self, value: Any) -> bool:
        """Whether a value lies in it."""
        if self.kind in ("choice", "grid_search"):
            return value in self.arguments
        low, high = self.extremes
        return isinstance(value, int | float) and low <= value <= high


def default_space(plan: Plan) -> dict[str, Draw]:
    """The space of a sweep whose settings give none: growth ratio, final density, and how much of the data is seen,
    around what ``plan`` says.

    Most of its densities lie below the plan's. A model with more connections wins only if it is more accurate by more
    than ``tolerance``, which happens where the arrival differs from what the line has seen.
    """
    space = {"alpha": Draw(choice=tuple(sorted({0.0, 0.1, 0.3, 0.6, plan.alpha})))}
    low, high = 0.5 * plan.density, min(1.0, 1.2 * plan.density)
    space["density"] = Draw(uniform=(round(low, 4), round(high, 4)))
    if plan.epochs > 2:
        space["epochs"] = Draw(randint=(max(2, plan.epochs // 2), plan.epochs + 1))
    if 0.0 < plan.arrival.share < 1.0:
        space["arrival.share"] = Draw(uniform=(plan.arrival.share / 2, min(1.0, plan.arrival.share * 1.5)))
    return space


def space_of(plan: Plan, settings: SweepSettings) -> dict[str, Draw]:
    """The space of a sweep around ``plan``: what the settings say, or the default.

    Raises:
        InputError: a field does not exist, a value does not fit, or a grid has more points than trials.
    """
    space = dict(settings.space) or default_space(plan)
    for path, draw in space.items():
        for value in draw.extremes:
            plan_of(plan, {path: value})
    draws(space, settings)
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
        problems = "; ".join(problem["msg"].removeprefix("Value error, ") for problem in error.errors())
        raise InputError(f"sweep.space: no plan has {describe(point)}: {problems}") from error


def _child(node: Any, part: str, path: str) -> Any:
    if isinstance(node, dict) and part in node:
        return node[part]
    if isinstance(node, list) and part.isdigit() and int(part) < len(node):
        return node[int(part)]
    raise InputError(f"sweep.space: a plan has no setting '{path}'")


def own_point(plan: Plan, space: Mapping[str, Draw]) -> Point | None:
    """The plan's own place in the space; None if it lies outside.

    Raises:
        InputError: a field does not exist.
    """
    point = {path: value_of(plan, path) for path in space}
    return point if all(space[path].admits(value) for path, value in point.items()) else None


def value_of(plan: Plan, path: str) -> Any:
    """The setting of a plan at a dotted path.

    Raises:
        InputError: there is none.
    """
    node: Any = plan.model_dump(mode="json")
    for part in path.split("."):
        node = _child(node, part, path)
    return node


def describe(point: Mapping[str, Any]) -> str:
    """A point in a line: "alpha=0.3, density=0.08"."""
    return ", ".join(f"{path}={short(value)}" for path, value in point.items())


def short(value: Any) -> str:
    """A setting's value with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def grid_size(space: Mapping[str, Draw]) -> int:
    """How many points the grid has that ``grid_search`` fields span; 1 without any."""
    return math.prod(len(d.arguments) for d in space.values() if d.kind == "grid_search")


def draws(space: Mapping[str, Draw], settings: SweepSettings) -> int:
    """How many times Tune has to draw for ``settings.trials`` trials. Each draw goes through all points of the grid, if
    the space has one.

    Raises:
        InputError: the grid has more points than trials.
    """
    size = grid_size(space)
    if size > settings.trials:
        raise InputError(f"sweep.space: the grid has {size} points, more than sweep.trials={settings.trials}")
    return settings.trials // size
