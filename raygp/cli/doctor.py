"""``raygp doctor``: what of this machine, of storage and of a line is not as raygp needs it."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from raygp.cli.options import ROOT_VARIABLE, add_json
from raygp.cli.running import make_console, print_json
from raygp.data.listing import numbered
from raygp.errors import RaygpError
from raygp.finding import Finding

NAME = "doctor"
HELP = "look at this machine, at storage and at a line, and say what is wrong and what to do"
ROOT_IS_NEEDED = False
_COLOURS = {"ok": "green", "warning": "yellow", "problem": "bold red", "not looked at": "dim"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--ray", action="store_true", help="start Ray, too, and run a task on it (some 10 s)")
    add_json(parser)
    parser.epilog = (
        f"Without --root (or {ROOT_VARIABLE}), storage and the line are not looked at. Ends with exit code 1 where "
        "there is a problem; warnings alone end with 0."
    )


def run(options: argparse.Namespace) -> None:
    """A line for each finding, and what to do below it.

    Raises:
        RaygpError: there is a problem.
    """
    console = make_console(options.json)
    found: list[Finding] = []
    for finding in _findings(options):
        found.append(finding)
        _show(console, finding)
    if options.json:
        print_json([dataclasses.asdict(finding) for finding in found])
    counts = {state: sum(finding.state == state for finding in found) for state in ("problem", "warning", "ok")}
    text = f"{numbered(counts['problem'], 'problem')}, {numbered(counts['warning'], 'warning')}, {counts['ok']} ok"
    if counts["problem"]:
        raise RaygpError(f"{text}: see above")
    console.print(text)


def _findings(options: argparse.Namespace) -> Iterator[Finding]:
    from raygp.doctor import examine

    yield from examine(options.root)
    if options.ray:
        yield from _ray()


def _ray() -> Iterable[Finding]:
    from raygp.cluster.look import try_ray

    try:
        yield Finding("Ray", "ok", try_ray())
    except RaygpError as error:
        yield Finding("Ray", "problem", str(error), "its logs are in /tmp/ray/session_latest/logs")


def _show(console: Console, finding: Finding) -> None:
    if not console.is_terminal:  # Something may look for a line in it: it stays whole.
        console.print(f"{finding.state:<13}  {finding.check:<18}  {finding.text}", soft_wrap=True, markup=False)
        if finding.advice:
            console.print(f"{'':<35}-> {finding.advice}", soft_wrap=True, markup=False)
        return
    row = Table.grid(Column(width=13), Column(width=18), Column(overflow="fold"), padding=(0, 2, 0, 0))
    row.add_row(Text(finding.state, style=_COLOURS[finding.state]), Text(finding.check), Text(finding.text))
    if finding.advice:
        row.add_row("", "", Text(f"-> {finding.advice}"))
    console.print(row)
