"""``raygp withdraw``: take an arrival out of the line again."""

from __future__ import annotations

import argparse

from raygp.cli.options import add_config, add_json
from raygp.cli.running import make_console, print_json
from raygp.cli.telling import following
from raygp.line import Line, Withdrawal

NAME = "withdraw"
HELP = "take an arrival out again that no version has seen"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("arrival", help="such as arrival-003")
    add_config(parser, "settings: who is told")
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Withdraw the arrival, and say what it held.

    Raises:
        InputError: there is no such arrival; or a version or an unfinished update has seen it, or an arrival that was
            published later could not be used without it.
        ConflictError: somebody else is at work on the line.
    """
    line = Line(options.root)
    with following(options, make_console(options.json), line, "raygp withdraw"):
        done = line.withdraw(options.arrival)
    if options.json:
        print_json(_json(done))


def _json(done: Withdrawal) -> dict[str, object]:
    manifest = done.manifest
    return {
        "withdrawn": manifest.arrival,
        "source": manifest.source,
        **{split: manifest.rows(split) for split in ("train", "val", "test")},
        "files": len(manifest.files),
        "bytes": sum(info.bytes for info in manifest.files),
        "left": done.left,
        "short": list(done.short),
    }
