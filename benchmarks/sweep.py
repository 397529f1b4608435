"""What a sweep for each arrival buys, and what it costs: LeNet-300-100 on MNIST, three arrivals.

    python benchmarks/sweep.py --source idx:DIR [--trials 16] [--arrivals 3] [--search optuna] [--out DIR]
                               [--without-sharing] [--cold] [KEY.PATH=VALUE ...]

A line is made in ``DIR/line``: v0000 from 40 % of the training samples, then the arrivals with the rest, each folded in
by a sweep (ASHA, default space). The plan's own point is the first trial of each sweep and runs to its end, so it shows
what a plain update from the same parent gives, and its cost with the shared work is what a plain update costs. An
interrupted run goes on where it was. ``--without-sharing`` first sweeps the first arrival twice in copies of the line:
with shared work, and with every trial computing the parent's losses and growth gradients for itself. ``--cold`` sweeps
each arrival but the first twice, from the same parent: as the line does, and in a copy that has forgotten the line's
earlier sweeps; then it counts the trials that each needs for the same score (the best that both reach), and those after
which each has one no worse than the copy's winner. Settings that follow are those of the line, for a plan or a space of
one's own.
"""

from __future__ import annotations

import argparse
import math
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich import box
from rich.console import Console
from rich.table import Table

from drills.line import update
from raygp.cli.job import publish_missing
from raygp.cli.printer import printing
from raygp.cli.running import make_console, run_command
from raygp.data.ingest import IngestSettings
from raygp.data.ingest_settings import numbered_arrivals
from raygp.data.sources import open_source
from raygp.errors import InputError
from raygp.line import Line
from raygp.report.tables import percent
from raygp.search.choice import score
from raygp.search.space import own_point, plan_of, space_of
from raygp.settings import RunSettings, load_settings
from raygp.store import Card, Location, list_arrivals, list_versions

TASK = {"name": "lenet-300-100"}
FIRST_SHARE = 0.4


def make_line(console: Console, location: Location, source: str, arrivals: int) -> None:
    """Publish what is missing: the first version's data, then as many arrivals of equal size."""
    names = numbered_arrivals(1 + arrivals)
    shares = [FIRST_SHARE] + [(1.0 - FIRST_SHARE) / arrivals] * arrivals
    settings = IngestSettings(names, shares, 1 / 6, 0.0, 0)
    line = Line(location)
    with printing(console, location) as printer:
        line.listen(printer)
        publish_missing(line, TASK, lambda: open_source(source), settings)


def first_version(console: Console, location: Location, settings: RunSettings) -> None:
    """v0000, while the other arrivals are held back."""
    if list_versions(location):
        return
    waiting = location.local_path("waiting")
    waiting.mkdir(exist_ok=True)
    folders = sorted(location.local_path("arrivals").iterdir())
    for folder in folders[1:]:
        folder.rename(waiting / folder.name)
    update(console, location, settings)


def bring_back(location: Location, number: int) -> None:
    """Arrivals that were held back, until ``number`` of them are there beside the first version's data."""
    waiting = location.local_path("waiting")
    if waiting.exists():
        for folder in sorted(waiting.iterdir())[: max(0, number + 1 - len(list_arrivals(location)))]:
            folder.rename(location.local_path("arrivals") / folder.name)


def results_table(cards: list[Card], settings: RunSettings) -> Table:
    """A line an arrival: the plan itself, the winner, and the cost of the sweep in plain updates."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("arrival", no_wrap=True)
    for name in (
        "default val %", "active", "winner val %", "active ", "test %", "finished", "cost / update", "trials/min",
    ):  # fmt: skip
        table.add_column(name, justify="right", no_wrap=True)
    own = own_point(settings.plan, space_of(settings.plan, settings.sweep))
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
            f"{card.ledger.examples / cost:.2f}",
            f"{60 * len(trials) / card.sweep['seconds']:.2f}",
        )
    return table


def scores(card: Card, settings: RunSettings) -> list[float]:
    """Of a sweep's trials in their order, with the connections they came to; minus infinity for unfinished ones."""
    assert card.sweep is not None
    return [
        score(
            trial["val_accuracy"], plan_of(settings.plan, trial["point"]), settings.plan, settings.sweep,
            trial["active_connections"] / card.total_connections,
        )
        if trial["state"] == "finished" else -math.inf
        for trial in card.sweep["trials"]
    ]  # fmt: skip


def trials_until_same(cards: tuple[Card, Card], settings: RunSettings) -> list[int]:
    """After how many trials each of two sweeps had the best score that both reach."""
    found = [scores(card, settings) for card in cards]
    same = min(max(values) for values in found)
    return [next(number for number, value in enumerate(values, 1) if value >= same) for values in found]


def trials_until_winner(card: Card, cold: Card, tolerance: float) -> int | None:
    """After how many trials a card's sweep had one no worse than the winner of ``cold``: finished, within tolerance of
    the best accuracy there, and with no more connections. None: never."""
    assert card.sweep is not None and cold.sweep is not None
    top = max(trial["val_accuracy"] for trial in cold.sweep["trials"] if trial["state"] == "finished")
    return next(
        (
            number
            for number, trial in enumerate(card.sweep["trials"], 1)
            if trial["state"] == "finished"
            and trial["val_accuracy"] >= top - tolerance - 1e-12
            and trial["active_connections"] <= cold.active_connections
        ),
        None,
    )


def warm_start_table(pairs: list[tuple[Card, Card]], settings: RunSettings) -> Table:
    """A line an arrival: winners of both sweeps, and the trials that each needed."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("arrival", no_wrap=True)
    for name in (
        "cold: val %", "active", "examples", "same score", "cold's winner",
        "warm: val %", "active ", "examples ", "same score ", "cold's winner ",
    ):  # fmt: skip
        table.add_column(name, justify="right", no_wrap=True)
    counts = []
    for pair in pairs:
        cells: list[str] = []
        for card, same in zip(pair, trials_until_same(pair, settings), strict=True):
            winner = trials_until_winner(card, pair[0], settings.sweep.tolerance)
            counts.append((same, winner or settings.sweep.trials + 1))
            cells += [percent(card.val_accuracy), f"{card.active_connections:,}", f"{card.ledger.examples:,.0f}"]
            cells += [str(same), "never" if winner is None else str(winner)]
        table.add_row(pair[0].arrival, *cells)
    table.add_section()
    means = [[f"{statistics.mean(column):.1f}" for column in zip(*counts[of::2], strict=True)] for of in (0, 1)]
    table.add_row("mean", "", "", "", *means[0], "", "", "", *means[1])
    table.caption = "trials needed; 'never' counts as one more than all"
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", required=True, metavar="KIND:PATH")
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--arrivals", type=int, default=3)
    parser.add_argument("--search", choices=("random", "optuna"), default="random")
    parser.add_argument("--out", default="runs/sweep", metavar="DIR")
    parser.add_argument("--without-sharing", action="store_true")
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("settings", nargs="*", metavar="KEY.PATH=VALUE")
    options = parser.parse_args()
    console, out = make_console(), Path(options.out)

    def command() -> None:
        chosen = {"trials": options.trials, "search": options.search}
        settings = load_settings(TASK, None, options.settings, sweep=chosen)
        location = Location(str(out / "line"))
        if not list_versions(location):
            bring_back(location, options.arrivals)
        make_line(console, location, options.source, options.arrivals)
        first_version(console, location, settings)
        if options.without_sharing:
            compare_sharing(console, out, chosen, options.settings)
        cold = load_settings(TASK, None, options.settings, sweep=chosen | {"warm_start": False})
        pairs = []
        for number in range(1, options.arrivals + 1):
            if options.cold and number > 1:
                forgetful = copy_of_line(out, f"cold-{number}", number)
                update(console, forgetful, cold, sweep=True)
            bring_back(location, number)
            update(console, location, settings, sweep=True)
            if options.cold and number > 1:
                pairs.append((version_from(forgetful, number), version_from(location, number)))
        console.print(results_table(list_versions(location), settings))
        if pairs:
            console.print(warm_start_table(pairs, settings))

    return run_command(command)


def version_from(location: Location, number: int) -> Card:
    """The version that the sweep for arrival ``number`` promoted.

    Raises:
        InputError: the gate refused it.
    """
    arrival = list_arrivals(location)[number].arrival
    found = [card for card in list_versions(location) if card.arrival == arrival]
    if not found:
        raise InputError(f"{location.root}: {arrival} brought no version, so there is nothing to compare")
    return found[0]


def copy_of_line(out: Path, name: str, number: int) -> Location:
    """``DIR/name``: the line as it was before its arrival ``number``, which waits."""
    location = Location(str(out / name))
    if not location.exists():
        if len(list_versions(Location(str(out / "line")))) != number:
            raise InputError(f"the line has gone on from v{number - 1:04d}: give another --out")
        # Under another name until it is whole.
        shutil.copytree(out / "line", out / f"{name}.part", dirs_exist_ok=True)
        (out / f"{name}.part").rename(out / name)
    bring_back(location, number)
    return location


def compare_sharing(console: Console, out: Path, chosen: dict[str, Any], overrides: list[str]) -> None:
    """The first arrival's sweep from the same parent, with and without shared work."""
    for name, shared in (("shared", True), ("unshared", False)):
        location = copy_of_line(out, name, 1)
        settings = load_settings(TASK, None, overrides, sweep=chosen | {"share_work": shared})
        update(console, location, settings, sweep=True)
        console.print(name, results_table(list_versions(location), settings))


if __name__ == "__main__":
    sys.exit(main())
