"""What earlier sweeps of a line teach the next one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raygp.search.choice import score
from raygp.search.settings import SweepSettings
from raygp.search.space import Draw, Point, grid_size, own_point, plan_of
from raygp.update.plan import Plan

_KNOWN_POINTS = 2
"""How many points of earlier sweeps are tried again."""


def first_points(
    plan: Plan,
    space: Mapping[str, Draw],
    past: Sequence[Mapping[str, Any]],
    total_connections: int,
    settings: SweepSettings,
) -> list[Point]:
    """Points that are tried before any that are drawn: the plan's own, then the two that did best in earlier sweeps.

    There are at most as many as the sweep has trials, and none if the space has a grid.

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


def kept_points(plan: Plan, space: Mapping[str, Draw], points: Sequence[Point]) -> list[Point]:
    """Those of :func:`first_points` that no scheduler may stop: they cost a whole trial each.

    One is the plan's own, so that a sweep is never worse than an update with the plan. The other is the best of earlier
    sweeps: what those found out about it counts for more than a comparison after a few epochs.
    """
    own = own_point(plan, space)
    others = [point for point in points if point != own]
    return [*([] if own is None else [own]), *others[:1]]


def experience(
    plan: Plan,
    space: Mapping[str, Draw],
    past: Sequence[Mapping[str, Any]],
    parent_accuracy: float,
    total_connections: int,
    settings: SweepSettings,
) -> list[tuple[Point, float]]:
    """Points whose trials earlier sweeps of the line ran to their end, with the scores a searcher is to learn from;
    none without ``warm_start``.

    Each sweep had other data, so their accuracies cannot be compared as they are. But each sweep's winner was promoted,
    and the parent of this sweep descends from it. So a past trial is taken to lie as far from the parent's accuracy as
    it lay from its own winner's. Trials that were stopped early are left out: nobody knows how they would have ended.

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


def _lies_in(space: Mapping[str, Draw], point: Point) -> bool:
    return set(point) == set(space) and all(space[path].admits(value) for path, value in point.items())
