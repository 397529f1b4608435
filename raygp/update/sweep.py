"""Sweeps as data: the space of plans, what a trial came to, which trial is best. No Ray in here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from raygp.errors import InputError
from raygp.update.plan import GrowPhase, Plan, PrunePhase, Settings, Share

Point = dict[str, Any]
"""Values by dotted path of a plan's field, such as {"alpha": 0.3, "phases.1.end": 0.6}."""

_KNOWN_POINTS = 2
"""So many of earlier sweeps are tried again."""
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


class SweepSettings(Settings):
    """How the plan of each arrival is searched for."""

    space: dict[str, Distribution] = Field(default_factory=dict)
    """By dotted path of a plan's field. Empty: :func:`default_space` of the plan."""
    trials: Annotated[int, Field(ge=1, le=10_000)] = 8
    """How many points are tried. The plan's own point is the first, those that did best in earlier sweeps follow. With
    ``grid_search``: the grid's points, as often as they fit, and nothing else."""
    concurrent: Annotated[int, Field(ge=1)] = 2
    """Trials that run at the same time."""
    search: Literal["random", "optuna"] = "random"
    """optuna: its tree-structured Parzen estimator learns from the trials that are done, and from those of the line's
    earlier sweeps (needs package optuna)."""
    scheduler: Literal["asha", "none"] = "asha"
    """asha: stop trials early that are behind (asynchronous successive halving); none: run all to their end."""
    grace: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.125
    """asha: part of its epochs that every trial may run before it is compared with others as far on their way."""
    reduction: Annotated[float, Field(gt=1.0)] = 4.0
    """asha: one in so many goes on from each comparison, and the next is that much later."""
    objective: Literal["connections", "cost", "accuracy"] = "connections"
    """What decides between the trials whose validation accuracy is within ``tolerance`` of the best one's: connections:
    the fewest active connections, then the least cost; cost: the other way round; accuracy: the highest accuracy."""
    tolerance: Share = 0.001
    """Validation accuracies that differ by no more than this count as equal, as a fraction."""
    warm_start: bool = True
    """Try first what did best in the line's earlier sweeps, and let optuna learn from all their finished trials; false:
    begin as if there were none."""
    share_work: bool = True
    """Compute the parent's losses and the growth gradients once for all trials; false: each computes its own."""
    max_hours: Annotated[float, Field(gt=0.0)] | None = None
    """Stop after so long; the best trial that has finished wins. What it may cost, over the cluster's price by hour."""
    max_cost: float | str | None = None
    """Stop when shared work and all trials together have cost so many examples; 5x: five times what one update with the
    plan itself is expected to cost."""

    @field_validator("space", mode="after")
    @classmethod
    def _paths(cls, space: dict[str, Distribution]) -> dict[str, Distribution]:
        for path in space:
            if not all(path.split(".")):
                raise ValueError(f"'{path}' is no path of a setting")
        return space

    @field_validator("max_cost", mode="before")
    @classmethod
    def _examples_or_updates(cls, value: Any) -> Any:
        if value is None:
            return None
        try:
            number = float(str(value).removesuffix("x"))
        except ValueError:
            number = 0.0
        if not 0.0 < number < math.inf:
            raise ValueError("has to be a number of examples or, as in 5x, of plain updates")
        return value if isinstance(value, str) and value.endswith("x") else number


def default_space(plan: Plan) -> dict[str, Distribution]:
    """Growth ratio, final density, and how much of the data is seen: around what ``plan`` says.

    Most densities lie below the plan's: more connections win only where they are worth more than ``tolerance``, as on a
    shifted arrival.
    """
    space = {"alpha": Distribution(choice=tuple(sorted({0.0, 0.1, 0.3, 0.6, plan.alpha})))}
    low, high = 0.5 * plan.density, min(1.0, 1.2 * plan.density)
    space["density"] = Distribution(uniform=(round(low, 4), round(high, 4)))
    if plan.epochs > 2:
        space["epochs"] = Distribution(randint=(max(2, plan.epochs // 2), plan.epochs + 1))
    if 0.0 < plan.arrival.share < 1.0:
        space["arrival.share"] = Distribution(uniform=(plan.arrival.share / 2, min(1.0, plan.arrival.share * 1.5)))
    return space


def space_of(plan: Plan, settings: SweepSettings) -> dict[str, Distribution]:
    """The space of a sweep around ``plan``: what the settings say, or the default.

    Raises:
        InputError: a field does not exist, a value does not fit, or a grid has more points than trials.
    """
    space = dict(settings.space) or default_space(plan)
    for path, distribution in space.items():
        for value in distribution.extremes:
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


def own_point(plan: Plan, space: Mapping[str, Distribution]) -> Point | None:
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


@dataclass(frozen=True)
class TrialResult:
    """What became of one point."""

    name: str
    point: Point
    state: Literal["finished", "stopped", "failed"]
    """stopped: by the scheduler for being behind, by a budget, or by the user."""
    epochs: int
    val_accuracy: float
    """At the last epoch."""
    active_connections: int | None
    """None if it did not finish."""
    ledger: dict[str, float]
    """What this trial spent; shared work is not in it."""
    error: str = ""
    """Why it failed."""

    @property
    def examples(self) -> float:
        """Its cost."""
        return self.ledger.get("examples", 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for the version's card."""
        return asdict(self) | {"ledger": {key: float(value) for key, value in self.ledger.items()}}


def score(
    val_accuracy: float, plan: Plan, around: Plan, settings: SweepSettings, density: float | None = None
) -> float:
    """What the scheduler compares running trials by, and what a searcher learns: higher is better.

    Validation accuracy, less ``tolerance`` times a price: for objective connections the density over that of the plan
    that the sweep lies around, for cost how often the epochs go over the data, over the same of that plan. So whatever
    is saved makes up for ``tolerance`` of accuracy at most, as it does for :func:`best_trial`.

    Args:
        val_accuracy: of the trial, 0 to 1.
        plan: of the trial.
        around: the plan that the sweep lies around.
        settings: of the sweep.
        density: that the trial came to; None: it has not finished, the plan's final density stands for it.
    """
    if settings.objective == "accuracy":
        return val_accuracy
    if settings.objective == "connections":
        price = (plan.density if density is None else density) / around.density
    else:
        price = _work(plan) / max(_work(around), 1e-9)
    return val_accuracy - settings.tolerance * price


def _work(plan: Plan) -> float:
    """Examples of a plan's epochs, in passes over old and new data alike."""
    return plan.most_epochs * (plan.arrival.share + plan.replay.share)


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
    keys: dict[str, Callable[[TrialResult], tuple[float, ...]]] = {
        "connections": lambda r: (r.active_connections or 0, r.examples, -r.val_accuracy),
        "accuracy": lambda r: (-r.val_accuracy, r.active_connections or 0, r.examples),
        "cost": lambda r: (r.examples, r.active_connections or 0, -r.val_accuracy),
    }
    winner = min(close, key=keys[settings.objective])
    if len(close) == 1:
        return winner, "most accurate, no other is within tolerance"
    what = {"connections": "fewest connections", "cost": "least cost", "accuracy": "most accurate"}[settings.objective]
    return winner, f"{what} of {len(close)} trials within {100 * settings.tolerance:g} points of {top:.2%}"


def pareto_front(results: Sequence[TrialResult]) -> set[str]:
    """Names of the finished trials that no other beats in accuracy, connections and cost at once."""
    finished = [result for result in results if result.state == "finished"]

    def values(r: TrialResult) -> tuple[float, float, float]:
        return (-r.val_accuracy, r.active_connections or 0, r.examples)

    def beaten(r: TrialResult) -> bool:
        return any(
            values(o) != values(r) and all(a <= b for a, b in zip(values(o), values(r), strict=True)) for o in finished
        )

    return {result.name for result in finished if not beaten(result)}


def first_points(
    plan: Plan,
    space: Mapping[str, Distribution],
    past: Sequence[Mapping[str, Any]],
    total_connections: int,
    settings: SweepSettings,
) -> list[Point]:
    """Points that are tried before any that are drawn: the plan's own, then the two that did best in earlier sweeps. At
    most as many as there are trials; none beside a grid.

    Args:
        plan: around which the space lies.
        space: what may change.
        past: the ``sweep`` part of the cards of the line, newest first. Points that lie outside the space are left
            out; so are repetitions.
        total_connections: of the model, active or not.
        settings: of this sweep.

    Raises:
        InputError: the space names a field that the plan does not have.
    """
    if grid_size(space) > 1:
        return []
    own = own_point(plan, space)
    known = sorted(experience(plan, space, past, 0.0, total_connections, settings), key=lambda found: -found[1])
    best: list[Point] = []
    for point, _ in known:
        if point != own and point not in best:
            best.append(point)
    return [*([] if own is None else [own]), *best[:_KNOWN_POINTS]][: settings.trials]


def kept_points(plan: Plan, space: Mapping[str, Distribution], points: Sequence[Point]) -> list[Point]:
    """Of :func:`first_points`, those that no scheduler may stop: the plan's own, as a sweep is to be no worse than the
    plan, and the best of earlier sweeps, about which more is known than an early comparison says. Each runs to its end,
    which is paid for."""
    own = own_point(plan, space)
    others = [point for point in points if point != own]
    return [*([] if own is None else [own]), *others[:1]]


def experience(
    plan: Plan,
    space: Mapping[str, Distribution],
    past: Sequence[Mapping[str, Any]],
    parent_accuracy: float,
    total_connections: int,
    settings: SweepSettings,
) -> list[tuple[Point, float]]:
    """Points whose trials earlier sweeps of the line ran to their end, with the scores a searcher is to learn from;
    none without ``warm_start``.

    Sweeps differ in data, so their accuracies are not comparable as they are. Each sweep's winner was promoted, and the
    parent of this one descends from it: a past trial counts as being as far from the parent's accuracy as it was from
    its own winner's. Trials that were stopped early say nothing about the end, and are left out.

    Args:
        plan: around which the space lies.
        space: what may change; trials whose points lie outside are left out.
        past: the ``sweep`` part of the cards of the line, newest first.
        parent_accuracy: validation accuracy of the version that is updated, 0 to 1.
        total_connections: of the model, active or not.
        settings: of this sweep; scores are as :func:`score` gives them.
    """
    found = []
    for sweep in past if settings.warm_start else []:
        won = next((trial["val_accuracy"] for trial in sweep["trials"] if trial["name"] == sweep["winner"]), None)
        for trial in sweep["trials"] if won is not None else []:
            point = dict(trial["point"])
            if trial["state"] == "finished" and _lies_in(space, point):
                accuracy = parent_accuracy + trial["val_accuracy"] - won
                density = trial["active_connections"] / total_connections
                found.append((point, score(accuracy, plan_of(plan, point), plan, settings, density)))
    return found


def _lies_in(space: Mapping[str, Distribution], point: Point) -> bool:
    return set(point) == set(space) and all(space[path].admits(value) for path, value in point.items())


def grid_size(space: Mapping[str, Distribution]) -> int:
    """How many points the grid has that ``grid_search`` fields span; 1 without any."""
    return math.prod(len(d.arguments) for d in space.values() if d.kind == "grid_search")


def draws(space: Mapping[str, Distribution], settings: SweepSettings) -> int:
    """How often Tune draws a point (a grid's points each time).

    Raises:
        InputError: the grid has more points than trials.
    """
    size = grid_size(space)
    if size > settings.trials:
        raise InputError(f"sweep.space: the grid has {size} points, more than sweep.trials={settings.trials}")
    return settings.trials // size


@dataclass(frozen=True)
class ExpectedCost:
    """What a sweep will come to, in examples (a forward and backward pass each)."""

    shared: float
    """Done once."""
    trial: float
    """One trial of the plan itself, run to its end."""
    low: float
    """All trials, if the scheduler lets no more go on than it wants to."""
    high: float
    """All trials run to their end."""
    update: float
    """One update with the plan itself, without a sweep."""


def expected_cost(plan: Plan, settings: SweepSettings, old_rows: int, new_rows: int, kept: int = 1) -> ExpectedCost:
    """Estimate the cost of a sweep around ``plan`` from the numbers of training examples.

    Args:
        plan: what a trial costs is taken from it.
        settings: of the sweep.
        old_rows: training examples that the parent has seen.
        new_rows: those of the arrival.
        kept: trials that are not stopped early.
    """
    parts = ((plan.replay, old_rows), (plan.arrival, new_rows))
    scanned = sum(
        max(part.share * part.hard, part.scan) * rows / 3
        for part, rows in parts
        if 0.0 < part.share < 1.0 and part.hard > 0.0
    )
    chosen = sum(part.share * rows for part, rows in parts)
    trained = 0.0
    for phase in plan.phases:
        rounds = phase.rounds if isinstance(phase, PrunePhase) and not phase.gradual else 1
        rows = new_rows if phase.kind == "grow-new" else chosen
        trained += rounds * plan.epochs_of(phase) * rows
        if isinstance(phase, GrowPhase):
            scanned += phase.sampled(math.ceil(rows))
    if plan.distillation.weight_for(old_rows, new_rows) > 0.0:
        trained *= 4 / 3
    share = 1.0 if settings.scheduler == "none" else _share_that_runs(settings)
    kept = min(kept, settings.trials)
    low = scanned + (kept + (settings.trials - kept) * share) * trained
    high = scanned + settings.trials * trained
    return ExpectedCost(scanned, trained, low, high, scanned + trained)


def cost_limit(settings: SweepSettings, update: float) -> float | None:
    """``max_cost`` in examples.

    Args:
        settings: of the sweep.
        update: examples that one update with the plan itself is expected to cost.
    """
    limit = settings.max_cost
    return float(limit.removesuffix("x")) * update if isinstance(limit, str) else limit


def _share_that_runs(settings: SweepSettings) -> float:
    """Part of its epochs that a trial runs on average, if one in ``reduction`` passes each comparison."""
    done, going_on, total = settings.grace, 1.0, settings.grace
    while done < 1.0:
        going_on /= settings.reduction
        step = min(1.0, done * settings.reduction) - done
        done, total = done + step, total + going_on * step
    return total
