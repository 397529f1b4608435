"""``raygp versions``: all versions of a line, as a table or as a tree."""

from __future__ import annotations

import argparse
from typing import Any

from rich.console import Console

from raygp.cli.options import add_json
from raygp.cli.running import make_console, print_json
from raygp.line import Line
from raygp.line.summary import summary
from raygp.report.graph import versions_graph
from raygp.report.tables import versions_table
from raygp.report.verdict import waiting_line
from raygp.store import find_waiting, read_head

NAME = "versions"
HELP = "all versions with accuracy, density and cost"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--graph", action="store_true", help="as a tree: which version was made from which")
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Show all versions."""
    line, console = Line(options.root), make_console()
    if options.json:
        print_json(versions_json(line))
    elif options.graph:
        _show_graph(line, console)
    else:
        show_versions(line, console)


def show_versions(line: Line, console: Console) -> None:
    """The table of all versions; the head has a star."""
    cards = [version.card for version in line.versions()]
    if not cards:
        console.print("no version yet (raygp update makes the first)")
        return
    waiting = line.waiting
    versions_table(cards, line.state.version, waiting.version if waiting else None).show(console)
    if waiting:
        console.print(waiting_line(line.root, waiting.version), soft_wrap=True, markup=False)


def versions_json(line: Line) -> list[dict[str, Any]]:
    """Each version as reports/summary.json has it, whether it is the head, and whether it waits for approval."""
    head, waiting = line.state.version, line.waiting
    versions: list[dict[str, Any]] = summary([version.card for version in line.versions()], 0.0)["versions"]
    name = waiting.version if waiting else None
    return [
        {**version, "head": version["version"] == head, "waiting": version["version"] == name} for version in versions
    ]


def _show_graph(line: Line, console: Console) -> None:
    cards = [version.card for version in line.versions()]
    if not cards:
        console.print("no version yet (raygp update makes the first)")
    # Of a damaged line the graph shows what can still be read: only the head's name is looked up.
    head = read_head(line.location)
    waiting = find_waiting(line.location, head)
    for tree in versions_graph(cards, head, waiting[1].version if waiting else None):
        console.print(tree)
