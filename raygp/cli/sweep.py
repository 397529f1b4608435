"""``raygp sweep``: search for the plan of each new arrival, or only say what that would try and cost."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console

from raygp.cli import update
from raygp.cli.options import line_of, run_settings
from raygp.cli.running import make_console, print_json

if TYPE_CHECKING:
    from raygp.line.forecast import SweepForecast
    from raygp.settings import RunSettings

NAME = "sweep"
HELP = "the same as update --sweep; --dry-run says what it would try and cost"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the command: those of update, and one."""
    update.add_options(parser)
    parser.add_argument("--dry-run", action="store_true", help="only say what it would try and cost")
    parser.set_defaults(sweep=True)


def run(options: argparse.Namespace) -> None:
    """Sweep, or say what a sweep would do.

    Raises:
        InputError: the space does not fit the plan, or nothing waits.
    """
    if not options.dry_run:
        return update.run(options)
    line = line_of(options)
    settings = run_settings(options, line.task)
    forecast = line.forecast_sweep(settings, fold=options.fold)
    if options.json:
        print_json(_json(forecast))
    else:
        _show(make_console(), forecast, settings)


def _show(console: Console, forecast: SweepForecast, settings: RunSettings) -> None:
    from raygp.report.sweep import space_table
    from raygp.search.space import describe

    sweep, layout, cost = settings.sweep, forecast.layout, forecast.layout.cost
    space_table(settings.plan, layout.space).show(console)
    arrivals = ", ".join((*forecast.beside, forecast.arrival))
    console.print(f"{arrivals} on {forecast.parent}: {layout.trials} trials, {sweep.search} search")
    for point in layout.points:
        end = ", to its end" if sweep.scheduler != "none" and point in layout.kept else ""
        console.print(f"tried first{end}: {describe(point)}")
    if sweep.search == "optuna" and layout.known:
        console.print(f"learns from {len(layout.known)} trials of earlier sweeps")
    stops = "all run to their end" if sweep.scheduler == "none" else f"stopped early by {sweep.scheduler}"
    console.print(
        f"{sweep.concurrent} at a time, {stops}; each has {settings.workers.spelled} workers with a GPU each where the "
        "cluster has as many, else a CPU or part of one"
    )
    console.print(
        f"expected cost in examples: {cost.low:,.0f} ({cost.low / cost.update:.1f} plain updates), at most "
        f"{cost.high:,.0f}; of that once for all trials {cost.shared:,.0f}; budgets: "
        f"{_budget(sweep.max_hours, 'hours')}, {_budget(layout.limit, 'examples')}"
    )


def _json(forecast: SweepForecast) -> dict[str, object]:
    layout = forecast.layout
    return {
        "arrival": forecast.arrival,
        "beside": list(forecast.beside),
        "parent": forecast.parent,
        "space": {path: draw.model_dump(mode="json", exclude_none=True) for path, draw in layout.space.items()},
        "trials": layout.trials,
        "first": layout.points,
        "known": len(layout.known),
        "cost": asdict(layout.cost),
        "limit": layout.limit,
    }


def _budget(value: float | None, unit: str) -> str:
    return f"no limit in {unit}" if value is None else f"at most {value:,.6g} {unit}"
