"""Options that several commands and the jobs share, and how they are parsed."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raygp.line import Line
    from raygp.settings import RunSettings
    from raygp.tasks import TaskRef

ROOT_VARIABLE = "RAYGP_ROOT"
"""Environment variable that stands in for ``--root``."""
CONFIG_VARIABLE = "RAYGP_CONFIG"
"""Environment variable that stands in for ``--config``."""


def add_root(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """The option that says where the line lives.

    Args:
        parser: gets the option.
        default: what holds if the option is not given; None: what the environment says.
    """
    otherwise = f"default {default}" if default else f"default: what {ROOT_VARIABLE} says"
    parser.add_argument(
        "--root",
        # A job that makes its own line must not touch the one that the environment names.
        default=default or os.environ.get(ROOT_VARIABLE),
        help=f"where the model line lives: path or URL ({otherwise})",
    )


def add_config(parser: argparse.ArgumentParser, what: str, from_environment: bool = True) -> None:
    """The option that names a settings file, and the one that writes events to a file.

    Args:
        parser: gets the options.
        what: is said of the file.
        from_environment: whether the environment may name it, too.
    """
    from raygp.cli.telling import add_events

    otherwise = f" (default: what {CONFIG_VARIABLE} says)" if from_environment else ""
    # A job makes its own line: the settings that the environment names are another's.
    default = os.environ.get(CONFIG_VARIABLE) if from_environment else None
    parser.add_argument("--config", metavar="FILE.yaml", default=default, help=what + otherwise)
    add_events(parser)


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option of every command that prints a table."""
    parser.add_argument(
        "--json", action="store_true", help="print one JSON value on standard output; the rest goes to standard error"
    )


def add_own_task(parser: argparse.ArgumentParser) -> None:
    """The options of commands that need the code of a line's task, where that is one's own."""
    parser.add_argument(
        "--task",
        metavar="FILE.py",
        help="your own task's file, or package.module:Class (default: the file of the recorded name in this folder)",
    )
    add_task_changed(parser)


def add_task_changed(parser: argparse.ArgumentParser) -> None:
    """The option that confirms that the code of a line's task has changed."""
    parser.add_argument(
        "--task-changed",
        action="store_true",
        help="the file given with --task is another one than the line was made with: go on with it",
    )


def line_of(options: argparse.Namespace, single_writer: bool = False) -> Line:
    """The line at ``--root``, with the code of its task where that was given.

    Raises:
        InputError: the root or the file cannot be used.
    """
    from raygp.line import Line

    given = getattr(options, "task", None)
    changed = getattr(options, "task_changed", False)
    return Line(options.root, single_writer=single_writer, task=given, task_changed=changed)


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
    parser.add_argument(
        "--duplicates",
        choices=("skip", "keep"),
        default="skip",
        help="rows that the line trains on already, or that come twice: skip them (default), or keep them as training "
        "rows; what is held out stays held out",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="refuse a source that holds anything that is no sample or a duplicate, instead of naming it",
    )


def add_held_out(parser: argparse.ArgumentParser, val_share: float, test_share: float) -> None:
    """Options that decide what is held out."""
    parser.add_argument(
        "--val-share", type=float, default=val_share, help=f"part held out for validation (default {val_share:.3g})"
    )
    parser.add_argument(
        "--test-share",
        type=float,
        default=test_share,
        help=f"part held out for testing, where the source has no test set (default {test_share:.3g})",
    )


def add_update_options(parser: argparse.ArgumentParser, from_environment: bool = True) -> None:
    """Options that decide how updates run.

    Args:
        parser: gets the options.
        from_environment: whether the environment may name the settings file.
    """
    add_config(parser, "settings, see docs/reference/settings.md", from_environment)
    parser.add_argument("--workers", metavar="N", help="training workers, or a range of them such as 1..8 (default 2)")
    parser.add_argument("--seed", type=int, help="seed of splits, updates and data order (default 0)")
    add_single_writer(parser)
    parser.add_argument("--sweep", action="store_true", help="look for the best plan of each arrival (Ray Tune)")
    add_sweep_options(parser)
    parser.add_argument("-v", "--verbose", action="store_true", help="show Ray's logs")
    parser.set_defaults(overrides=[])
    parser.epilog = "Any setting can follow as key.path=value, such as plan.alpha=0.2 or plan.phases.1.epochs=3."


def add_fold(parser: argparse.ArgumentParser) -> None:
    """The option that makes one update of several arrivals. A watcher folds anyway."""
    parser.add_argument("--fold", action="store_true", help="one update for all arrivals that wait, not one for each")


def add_sweep_options(parser: argparse.ArgumentParser) -> None:
    """Options that decide how plans are searched for. Their values are checked with the other settings."""
    group = parser.add_argument_group("sweep")
    group.add_argument("--max-trials", type=int, metavar="N", help="plans to try (default 8)")
    group.add_argument("--max-hours", type=float, metavar="H", help="stop after so long, with the best so far")
    group.add_argument(
        "--max-cost", metavar="N", help="stop when so many examples are spent, or Nx: so many times one plain update"
    )
    group.add_argument(
        "--objective",
        metavar="NAME",
        help="what decides between trials of equal accuracy: connections (default), cost; accuracy: the highest alone",
    )
    group.add_argument("--search", metavar="NAME", help="how points are drawn: random (default), optuna")


def add_single_writer(parser: argparse.ArgumentParser) -> None:
    """The option that vouches for a single writer."""
    parser.add_argument(
        "--single-writer",
        action="store_true",
        default=None,
        help="nothing else ever updates this line: for storage that ignores conditional writes",
    )


def run_settings(options: argparse.Namespace, task: TaskRef) -> RunSettings:
    """The settings that the update options say, for a task (its whole spec).

    Raises:
        InputError: one of them does not exist or does not fit.
    """
    from raygp.settings import load_settings

    given = given_settings(options)
    return load_settings(task, given["file"], given["overrides"], **given["flags"])


def given_settings(options: argparse.Namespace) -> dict[str, Any]:
    """What the update options say of settings, as plain data: ``file``, ``overrides`` and ``flags``, as
    :func:`raygp.settings.load_settings` takes them."""
    flags = {"workers": options.workers, "seed": options.seed, "single_writer": options.single_writer}
    sweep: dict[str, Any] = {
        "trials": options.max_trials,
        "max_hours": options.max_hours,
        "max_cost": options.max_cost,
        "objective": options.objective,
        "search": options.search,
    }
    chosen = {key: value for key, value in sweep.items() if value is not None}
    return {"file": options.config, "overrides": options.overrides, "flags": {**flags, "sweep": chosen}}


def _dashed(words: Sequence[str]) -> str:
    """What to do about a file whose name begins as options do; empty where there is none."""
    file = next((word for word in words if word.startswith("-") and word != "-" and os.path.exists(word)), "")
    return f"raygp: {file} is a file: write ./{file}, or put -- before it" if file else ""


def parse_options(parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse options with ``key.path=value`` overrides anywhere among them (argparse wants positionals in one place).

    Ends the process with code 2 and a message where they cannot be parsed, as argparse does.
    """
    try:
        options, rest = parser.parse_known_args(arguments)
    except SystemExit as error:
        if error.code and (hint := _dashed(sys.argv[1:] if arguments is None else arguments)):
            print(hint, file=sys.stderr)
        raise
    stray = [word for word in rest if word.startswith("-") or "=" not in word]
    if stray or (rest and not hasattr(options, "overrides")):
        hint = _dashed(stray)
        parser.error(f"unrecognized arguments: {' '.join(stray or rest)}" + (f"\n{hint}" if hint else ""))
    if rest:
        options.overrides = rest
    if getattr(options, "root", "") is None and getattr(options, "root_is_needed", True):
        parser.error(f"--root is missing: say where the model line lives, or set {ROOT_VARIABLE}")
    return options
