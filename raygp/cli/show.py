"""``raygp show``: one version in full."""

from __future__ import annotations

import argparse

from rich.console import Console

from raygp.cli.options import add_json
from raygp.cli.running import make_console, print_json
from raygp.drift import drift_line
from raygp.line import Line
from raygp.report.adopted import origin_line, weights_lines
from raygp.report.drift import drift_table, transfer_line
from raygp.report.parts import parts_table
from raygp.report.rungs import rung_lines
from raygp.report.tables import layers_table, phases_table, versions_table
from raygp.report.verdict import waiting_line
from raygp.store import Card, read_approval

NAME = "show"
HELP = "one version: where it comes from, phases, layers, cost"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("version", nargs="?", default="head", help="such as v0002; head or nothing: the head")
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Show a version.

    Raises:
        InputError: there is none of this name.
    """
    line = Line(options.root)
    line.refresh()  # A line that cannot be read is said before a version that is not there.
    card = line.version(options.version).card
    if options.json:
        print_json(card.model_dump(mode="json"))
    else:
        _show(make_console(), card)
        _show_approval(make_console(), line, card)


def _show(console: Console, card: Card) -> None:
    if card.origin is not None:
        _show_origin(console, card)
    else:
        origin = f"from {card.parent}" if card.parent else "initial synthesis"
        folds = ", ".join(card.folded_in)
        console.print(f"{card.version}, {origin}, folds in {folds} ({card.created}), update {card.update}")
        classes = f"{len(card.classes)} classes, " if card.classes else ""
        console.print(f"{classes}plan '{card.plan['name']}', seed {card.seed}")
    for line in rung_lines(card):
        console.print(line)
    console.print(f"masks {card.mask_digest}")
    versions_table([card]).show(console)
    if card.phases or card.origin is None:
        phases_table(card).show(console)
    if card.sweep:
        from raygp.report.sweep import trials_table

        trials_table(card.sweep, card.metric).show(console)
        console.print(f"trial {card.sweep['winner']} won: {card.sweep['why']}")
    if parts := parts_table(card):
        parts.show(console)
    if transfer := card.backward_transfer:
        console.print(transfer_line(transfer, card.metric), markup=False, soft_wrap=True)
    if card.drift is not None:
        console.print(drift_line(card.drift), markup=False, soft_wrap=True)
        drift_table(card.drift).show(console)
    layers_table(card).show(console)


def _show_approval(console: Console, line: Line, card: Card) -> None:
    """Of a version that a person approved, or has to."""
    if (waiting := line.waiting) and waiting.version == card.version:
        console.print(waiting_line(line.root, card.version), soft_wrap=True, markup=False)
    elif approved := read_approval(line.location, card.version):
        by = f" by {approved.by}" if approved.by else ""
        console.print(f"approved{by} ({approved.at[:19]} UTC)", markup=False)


def _show_origin(console: Console, card: Card) -> None:
    """Of a version that was not trained here."""
    lines = [f"{card.version}, {origin_line(card)}, has seen no arrival ({card.created}), update {card.update}"]
    if card.origin is not None:
        classes = [f"{len(card.classes)} classes, in the order of {card.origin.classes_from}"] if card.classes else []
        lines += [*classes, *weights_lines(card)]
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
