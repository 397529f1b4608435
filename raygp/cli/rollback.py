"""``raygp rollback``: make an earlier version the head again."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console

from raygp.cli.options import add_config, add_single_writer
from raygp.cli.running import make_console
from raygp.cli.telling import following
from raygp.line import Line, Rollback
from raygp.record import called
from raygp.report.tables import percent

NAME = "rollback"
HELP = "make an earlier version the head again"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("version", help="such as v0002")
    add_config(parser, "settings: who is told")
    add_single_writer(parser)


def run(options: argparse.Namespace) -> None:
    """Move the head, and say what that un-folds.

    Raises:
        InputError: there is no such version, it is damaged, or there is no head yet.
        ConflictError: somebody else moved the head meanwhile.
    """
    line = Line(options.root, single_writer=bool(options.single_writer))
    console = make_console()
    with following(options, console, line, "raygp rollback"):
        done = line.roll_back(options.version)
    _show(console, done)


def _show(console: Console, done: Rollback) -> None:
    if done.card is None:
        console.print(f"{done.version} is the head already: nothing to do")
        return
    found, metric = done.card.val_accuracy, done.card.metric
    validation = called(found, metric) if metric else f"{percent(found)} %"
    console.print(f"head: {done.before} -> {done.version} (validation {validation})")
    if done.waited:
        console.print(
            f"{done.waited} was made from {done.before} and does not wait for approval any more: it waits again once "
            f"{done.before} is the head",
            soft_wrap=True,
        )
    if not done.before_is_readable:
        console.print(f"the card of {done.before} cannot be read: see raygp status for the arrivals that wait now")
        return
    _list(console, "un-folded, waiting for the next update", done.unfolded)
    _list(console, "folded in again", done.folded)
    console.print(f"{done.before} stays in storage until raygp gc; raygp rollback {done.before} takes this back")


def _list(console: Console, what: str, names: Sequence[str]) -> None:
    if names:
        console.print(f"{what}: {', '.join(names)}")
