"""A sweep's trials: as lines while they run, as a table and as a figure."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from raygp.events import BudgetSpent, Event, Notice, TrialEnded, WorkShared
from raygp.record import called
from raygp.report.grid import Column, Grid
from raygp.report.tables import percent, unit
from raygp.search.space import Draw, describe, short, value_of
from raygp.store import Card, Location
from raygp.update.plan import Plan

_MESSAGE_LENGTH = 160
"""Of a failed trial's message on the terminal. The card has all of it."""


def sweep_line(event: Event, version: str, metric: str = "") -> str | None:
    """What a person reads when something has happened in a sweep; None if the event is nothing to tell.

    Args:
        event: told by the sweep.
        version: what the candidate will be called.
        metric: what accuracies are called where they are no shares of right answers; else empty.
    """
    match event:
        case TrialEnded(state="lost"):
            return f"{version}  {describe(event.point)}: lost, tried again from its last checkpoint"
        case TrialEnded():
            state = _trial_state(event, metric)
            return f"{version}  trial {event.number}/{event.trials}  {describe(event.point)}: {state}"
        case WorkShared():
            return (
                f"{version}: losses and growth gradients computed once, {event.examples:,.0f} examples' worth; "
                f"{event.trials} trials save up to {event.saved:,.0f}"
            )
        case BudgetSpent():
            return f"{version}: the sweep's budget of {event.budget} is spent"
        case Notice():
            return f"{version}: {event.text}"
    return None


def _trial_state(event: TrialEnded, metric: str) -> str:
    """How a trial ended, with what it came to."""
    if event.state == "failed":
        return f"failed: {event.error[:_MESSAGE_LENGTH]}" if event.error else "failed"
    if event.state == "finished":
        active = f"{event.active_connections:,} connections"
        return f"validation {called(event.val_accuracy, metric)}, {active}, {event.examples:,.0f} examples"
    return f"stopped after {event.epochs} epochs at {called(event.val_accuracy, metric)}"


def trials_table(sweep: Mapping[str, Any], metric: str = "") -> Grid[Mapping[str, Any]]:
    """One row a trial, best first. The winner has an asterisk, a point on the Pareto front a plus.

    Args:
        sweep: the ``sweep`` part of a version's card.
        metric: of the card.
    """
    order = {"finished": 0, "stopped": 1, "failed": 2}
    trials = sorted(sweep["trials"], key=lambda trial: (order[trial["state"]], -trial["val_accuracy"]))
    paths = list(dict.fromkeys(path for trial in trials for path in trial["point"]))

    def name(trial: Mapping[str, Any]) -> str:
        mark = " *" if trial["name"] == sweep["winner"] else " +" if trial["name"] in sweep["front"] else ""
        return f"{trial['name'][-5:]}{mark}"

    def active(trial: Mapping[str, Any]) -> str:
        return "-" if trial["active_connections"] is None else f"{trial['active_connections']:,}"

    return Grid(
        [
            Column("trial", name, text=True),
            *(_point_column(path, 10 + number) for number, path in enumerate(paths)),
            Column("epochs run", lambda trial: str(trial["epochs"]), 3),
            Column(f"val {unit(metric)}", lambda trial: percent(trial["val_accuracy"], metric)),
            Column("active", active, 1),
            Column("examples", lambda trial: f"{trial['ledger'].get('examples', 0.0):,.0f}", 2),
            Column("state", lambda trial: str(trial["state"]), 4, text=True),
        ],
        trials,
    )


def _point_column(path: str, spare: int) -> Column[Mapping[str, Any]]:
    return Column(path, lambda trial: short(trial["point"].get(path, "-")), spare)


def space_table(plan: Plan, space: Mapping[str, Draw]) -> Grid[tuple[str, Draw]]:
    """One row a field of the plan that a sweep may change."""

    def drawn_from(field: tuple[str, Draw]) -> str:
        draw = field[1]
        return f"{draw.kind}({', '.join(short(value) for value in draw.arguments)})"

    return Grid(
        [
            Column("field", lambda field: field[0], text=True),
            Column("drawn from", drawn_from, text=True, fold=True),
            Column("the plan says", lambda field: short(value_of(plan, field[0])), text=True),
        ],
        list(space.items()),
    )


def write_sweep_figure(location: Location, card: Card) -> str | None:
    """Draw accuracy against connections, coloured by cost, with the Pareto front; None without matplotlib.

    Returns:
        Address of the picture, ``reports/<version>-sweep.png``.
    """
    try:
        import matplotlib
    except ImportError:
        return None
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    assert card.sweep is not None
    trials = [trial for trial in card.sweep["trials"] if trial["state"] == "finished"]
    times = 1 if card.metric else 100
    figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    dots = axes.scatter(
        [trial["active_connections"] for trial in trials],
        [times * trial["val_accuracy"] for trial in trials],
        c=[trial["ledger"]["examples"] for trial in trials],
        cmap="viridis",
        zorder=2,
    )
    figure.colorbar(dots, label="cost of the trial in examples")
    front = sorted((t for t in trials if t["name"] in card.sweep["front"]), key=lambda t: t["active_connections"])
    axes.plot(
        [t["active_connections"] for t in front],
        [times * t["val_accuracy"] for t in front],
        color="0.6",
        linewidth=1,
        zorder=1,
        label="Pareto front (accuracy, connections, cost)",
    )
    winner = next(trial for trial in trials if trial["name"] == card.sweep["winner"])
    axes.scatter(
        winner["active_connections"], times * winner["val_accuracy"], s=160, facecolors="none", edgecolors="C3",
        linewidths=1.5, zorder=3, label=f"chosen: {card.version}",
    )  # fmt: skip
    if card.parent_val_accuracy is not None:
        axes.axhline(times * card.parent_val_accuracy, color="0.8", linestyle=":", zorder=0, label="parent")
    measure = f"validation {card.metric}" if card.metric else "validation accuracy in %"
    axes.set(xlabel="active connections", ylabel=measure, title=f"{card.version}: {card.arrival}")
    axes.legend(frameon=False, fontsize="small")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=150)
    plt.close(figure)
    path = f"reports/{card.version}-sweep.png"
    location.write_bytes(path, picture.getvalue())
    return location.url(path)
