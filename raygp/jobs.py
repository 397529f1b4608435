"""The jobs' common part: publish a source as arrivals if that has not been done, then bring the line up to date."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from raygp import app
from raygp.data.ingest import IngestSettings
from raygp.data.sources import Source
from raygp.settings import RunSettings, load_settings
from raygp.store import Location, check_root_usable


def add_common_options(parser: argparse.ArgumentParser, root: str, val_share: float, test_share: float) -> None:
    """Options that every job has."""
    parser.add_argument("--root", default=root, help=f"where the model line lives: path or URL (default {root})")
    parser.add_argument("--arrivals", type=int, default=3, metavar="N", help="how many arrivals to make (default 3)")
    parser.add_argument(
        "--shares",
        type=float,
        nargs="+",
        metavar="S",
        help="part of the training samples in each (default 0.6, the rest in equal parts)",
    )
    parser.add_argument(
        "--val-share", type=float, default=val_share, help=f"part held out for validation (default {val_share:.3g})"
    )
    parser.add_argument(
        "--test-share",
        type=float,
        default=test_share,
        help=f"part held out for testing, where the source has no test set (default {test_share:.3g})",
    )
    add_publish_options(parser)
    add_update_options(parser)


def add_publish_options(parser: argparse.ArgumentParser) -> None:
    """Options that decide how samples are checked and stored."""
    parser.add_argument(
        "--ingest-workers",
        type=int,
        default=1,
        metavar="N",
        help="Ray tasks that check and store samples side by side (default 1: in this process, without Ray)",
    )
    parser.add_argument(
        "--max-bad-share",
        type=float,
        default=0.01,
        metavar="S",
        help="part of an arrival's rows that may be unusable; above it the arrival is refused (default 0.01)",
    )


def add_update_options(parser: argparse.ArgumentParser) -> None:
    """Options that decide how updates run."""
    parser.add_argument("--config", metavar="FILE.yaml", help="settings (see README: Settings)")
    parser.add_argument("--workers", metavar="N", help="training workers, or a range of them such as 1..8 (default 2)")
    parser.add_argument("--seed", type=int, help="seed of splits, updates and data order (default 0)")
    add_single_writer(parser)
    parser.add_argument("--sweep", action="store_true", help="look for the best plan of each arrival (Ray Tune)")
    add_sweep_options(parser)
    parser.add_argument("-v", "--verbose", action="store_true", help="show Ray's logs")
    parser.set_defaults(overrides=[])
    parser.epilog = "Any setting can follow as key.path=value, such as plan.alpha=0.2 or plan.phases.1.epochs=3."


def add_sweep_options(parser: argparse.ArgumentParser) -> None:
    """Options that decide how plans are searched for."""
    group = parser.add_argument_group("sweep")
    group.add_argument("--max-trials", type=int, metavar="N", help="plans to try (default 8)")
    group.add_argument("--max-hours", type=float, metavar="H", help="stop after so long, with the best so far")
    group.add_argument(
        "--max-cost", metavar="N", help="stop when so many examples are spent, or Nx: so many times one plain update"
    )
    group.add_argument(
        "--objective",
        choices=["connections", "cost", "accuracy"],
        help="what decides between trials of equal accuracy (default connections); accuracy: the highest alone",
    )
    group.add_argument("--search", choices=["random", "optuna"], help="how points are drawn (default random)")


def add_single_writer(parser: argparse.ArgumentParser) -> None:
    """The option that vouches for a single writer."""
    parser.add_argument(
        "--single-writer",
        action="store_true",
        default=None,
        help="nothing else ever updates this line: for storage that ignores conditional writes",
    )


def run_settings(options: argparse.Namespace, task: str) -> RunSettings:
    """The settings that the update options say."""
    flags = {"workers": options.workers, "seed": options.seed, "single_writer": options.single_writer}
    sweep = {
        "trials": options.max_trials,
        "max_hours": options.max_hours,
        "max_cost": options.max_cost,
        "objective": options.objective,
        "search": options.search,
    }
    given = {key: value for key, value in sweep.items() if value is not None}
    return load_settings(task, options.config, options.overrides, **flags, sweep=given)


def parse_options(parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse options with ``key.path=value`` overrides anywhere among them (argparse wants positionals in one place)."""
    options, rest = parser.parse_known_args(arguments)
    stray = [word for word in rest if word.startswith("-") or "=" not in word]
    if stray or (rest and not hasattr(options, "overrides")):
        parser.error(f"unrecognized arguments: {' '.join(stray or rest)}")
    if rest:
        options.overrides = rest
    return options


def run_job(options: argparse.Namespace, task: dict[str, Any], make_source: Callable[[], Source]) -> int:
    """Publish, update, print the table. Returns the exit code."""

    def command() -> None:
        console = app.make_console()
        settings = run_settings(options, task["name"])
        shares = app.equal_or_given_shares(options.arrivals, options.shares)
        location = Location(options.root, settings.single_writer)
        check_root_usable(location)
        names = list(app.arrival_names(options.arrivals))
        app.publish_missing(
            console,
            location,
            task,
            make_source,
            IngestSettings(
                names,
                shares,
                options.val_share,
                options.test_share,
                settings.seed,
                max_bad_share=options.max_bad_share,
            ),
            options.ingest_workers,
        )
        app.update(console, location, settings, options.verbose, options.sweep)
        app.report(console, location)

    return app.run_command(command)
