"""``raygp tell``: who is told of what happens to a line, and whether that works."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from raygp.cli.options import add_config, add_json
from raygp.cli.running import make_console, print_json
from raygp.cli.telling import everybody
from raygp.errors import InputError, RaygpError
from raygp.line import Line

if TYPE_CHECKING:
    from raygp.tell import TellSettings

NAME = "tell"
HELP = "who is told of what happens to a line; --test tells them that it is only a test"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    add_config(parser, "settings: who is told")
    parser.add_argument("--test", action="store_true", help="tell everybody, and say what came of it")
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """List who is told, and try it out.

    Raises:
        InputError: the settings cannot be read, or nobody is to be told.
        RaygpError: somebody could not be told.
    """
    from raygp.tell import try_out

    line, tellers, console = Line(options.root), everybody(options), make_console(options.json)
    if not tellers:
        raise InputError("nobody is told: give --config with a file that has 'tell:' (see docs/guides/tell.md)")
    rows: list[dict[str, Any]] = []
    for teller in tellers:
        row: dict[str, Any] = {"kind": teller.kind, "name": teller.title, "events": _events(teller)}
        if options.test:
            tried = try_out(teller, line)
            row |= {"told": not tried.problem, "problem": tried.problem, "seconds": round(tried.seconds, 3)}
        rows.append(row)
        if not options.json:
            console.print(_line(row), markup=False, soft_wrap=True)
    if options.json:
        print_json(rows)
    failed = [row["name"] for row in rows if row.get("problem")]
    if failed:
        raise RaygpError(f"{len(failed)} of {len(rows)} could not be told: {', '.join(failed)}")


def _events(teller: TellSettings) -> str | list[str]:
    """Which events it is told of."""
    from raygp.tell import HookSettings

    if isinstance(teller, HookSettings):
        return teller.events if isinstance(teller.events, str) else list(teller.events)
    return "its own choice"


def _line(row: dict[str, Any]) -> str:
    if "told" not in row:
        events = row["events"] if isinstance(row["events"], str) else ", ".join(row["events"])
        return f"{row['name']}: {events}"
    return f"{row['name']}: " + (f"told in {row['seconds']:.2f} s" if row["told"] else f"failed: {row['problem']}")
