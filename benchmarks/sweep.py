"""What a sweep for each arrival buys, and what it costs: LeNet-300-100 on MNIST, three arrivals.

    python benchmarks/sweep.py --source idx:DIR [--trials 16] [--out DIR] [--without-sharing]

A line is made in ``DIR/line``: v0000 from 40 % of the training samples, then three arrivals of 20 %, each folded in by
a sweep (ASHA, default space). The plan's own point is the first trial of each sweep and runs to its end, so it shows
what a plain update from the same parent gives, and its cost with the shared work is what a plain update costs. An
interrupted run goes on where it was. ``--without-sharing`` first sweeps the first arrival twice in copies of the line:
with shared work, and with every trial computing the parent's losses and growth gradients for itself.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich import box
from rich.console import Console
from rich.table import Table

from raygp import app
from raygp.data.ingest import IngestSettings
from raygp.data.sources import open_source
from raygp.errors import InputError
from raygp.report.tables import percent
from raygp.settings import RunSettings, load_settings
from raygp.store import Card, Location, list_arrivals, list_versions
from raygp.update.sweep import default_space, own_point

TASK = {"name": "lenet-300-100"}
SHARES = [0.4, 0.2, 0.2, 0.2]


def make_line(console: Console, location: Location, source: str) -> None:
    """Publish what is missing, and synthesise the first version from the first arrival alone."""
    names = list(app.arrival_names(len(SHARES)))
    settings = IngestSettings(names, SHARES, 1 / 6, 0.0, 0)
    app.publish_missing(console, location, TASK, lambda: open_source(source), settings)


def first_version(console: Console, location: Location, settings: RunSettings) -> None:
    """v0000, while the other arrivals are held back."""
    if list_versions(location):
        return
    waiting = location.local_path("waiting")
    waiting.mkdir(exist_ok=True)
    folders = sorted(location.local_path("arrivals").iterdir())
    for folder in folders[1:]:
        folder.rename(waiting / folder.name)
    app.update(console, location, settings)


def bring_back(location: Location, only: int | None = None) -> None:
    """The first ``only`` of the arrivals, or all, that were held back."""
    waiting = location.local_path("waiting")
    if waiting.exists() and (only is None or len(list_arrivals(location)) == 1):
        for folder in sorted(waiting.iterdir())[:only]:
            folder.rename(location.local_path("arrivals") / folder.name)


def results_table(cards: list[Card], settings: RunSettings) -> Table:
    """A line an arrival: the plan itself, the winner, and the cost of the sweep in plain updates."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("arrival", no_wrap=True)
    for name in (
        "default val %", "active", "winner val %", "active ", "test %", "finished", "cost / update", "trials/min",
    ):  # fmt: skip
        table.add_column(name, justify="right", no_wrap=True)
    own = own_point(settings.plan, default_space(settings.plan))
    for card in cards:
        if card.sweep is None:
            continue
        trials: list[dict[str, Any]] = card.sweep["trials"]
        plain = next(trial for trial in trials if trial["point"] == own)
        cost = card.sweep["shared"].get("examples", 0.0) + plain["ledger"]["examples"]
        table.add_row(
            card.arrival,
            percent(plain["val_accuracy"]),
            f"{plain['active_connections']:,}",
            percent(card.val_accuracy),
            f"{card.active_connections:,}",
            percent(card.test_accuracy),
            f"{sum(trial['state'] == 'finished' for trial in trials)}/{len(trials)}",
            f"{card.ledger['examples'] / cost:.2f}",
            f"{60 * len(trials) / card.sweep['seconds']:.2f}",
        )
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", required=True, metavar="KIND:PATH")
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--out", default="runs/sweep", metavar="DIR")
    parser.add_argument("--without-sharing", action="store_true")
    options = parser.parse_args()
    console, out = app.make_console(), Path(options.out)

    def command() -> None:
        settings = load_settings(TASK["name"], sweep={"trials": options.trials})
        location = Location(str(out / "line"))
        if not list_versions(location):
            bring_back(location)
        make_line(console, location, options.source)
        first_version(console, location, settings)
        if options.without_sharing:
            compare_sharing(console, out, options.trials)
        bring_back(location)
        app.update(console, location, settings, sweep=True)
        console.print(results_table(list_versions(location), settings))

    return app.run_command(command)


def compare_sharing(console: Console, out: Path, trials: int) -> None:
    """The first arrival's sweep from the same parent, with and without shared work."""
    for name, shared in (("shared", True), ("unshared", False)):
        location = Location(str(out / name))
        if not location.exists():
            if len(list_versions(Location(str(out / "line")))) > 1:
                raise InputError("the line has gone on from v0000: give another --out for --without-sharing")
            shutil.copytree(out / "line", out / name)
        bring_back(location, only=1)
        settings = load_settings(TASK["name"], sweep={"trials": trials, "share_work": shared})
        app.update(console, location, settings, sweep=True)
        console.print(name, results_table(list_versions(location), settings))


if __name__ == "__main__":
    sys.exit(main())
