"""``raygp gc``: delete what nothing refers to any more."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

from rich.console import Console

from raygp.cli.options import add_json
from raygp.cli.running import make_console, print_json
from raygp.errors import InputError
from raygp.line import Line
from raygp.report.tables import garbage_table
from raygp.store import Garbage

NAME = "gc"
HELP = "delete what nothing refers to any more"
_AGE = re.compile(r"(\d+)([dhms])")
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--dry-run", action="store_true", help="only list it")
    parser.add_argument(
        "--older-than", default="7d", metavar="AGE", help="spare what is younger: such as 7d, 12h, 30m (default 7d)"
    )
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Delete garbage, or list it.

    Raises:
        InputError: the age cannot be read, the root is no line, or a document in it cannot be read.
        ConflictError: an update is at work on the line, or the head moved meanwhile.
    """
    line, age = Line(options.root), parse_age(options.older_than)
    garbage = line.collect_garbage(age, dry_run=options.dry_run)
    if options.json:
        rows = [
            {"path": item.what, "files": len(item.files), "bytes": item.bytes, "why": item.reason} for item in garbage
        ]
        print_json({"deleted": not options.dry_run, "garbage": rows})
    else:
        _show(make_console(), garbage, "would be deleted" if options.dry_run else "deleted")


def parse_age(text: str) -> float:
    """Seconds in an age such as 7d, 12h, 30m or 0s.

    Raises:
        InputError: it cannot be read as one.
    """
    found = _AGE.fullmatch(text)
    if found is None:
        raise InputError(f"--older-than: '{text}' is not an age: give a whole number and d, h, m or s, such as 7d")
    return float(int(found[1]) * _SECONDS[found[2]])


def _show(console: Console, garbage: Sequence[Garbage], what: str) -> None:
    if garbage:
        garbage_table(garbage).show(console)
    files = sum(len(item.files) for item in garbage)
    console.print(f"{files:,} files, {sum(item.bytes for item in garbage) / 1e6:,.1f} MB {what}")
