"""``raygp approve``: make the version that waits for a person the head."""

from __future__ import annotations

import argparse
import contextlib
import getpass

from raygp.cli.options import add_config, add_json, add_single_writer
from raygp.cli.running import make_console, print_json
from raygp.cli.telling import following
from raygp.line import Line

NAME = "approve"
HELP = "make the version that waits for approval the head"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("version", nargs="?", help="such as v0007 (default: the one that waits)")
    add_by(parser)
    add_config(parser, "settings: who is told")
    add_single_writer(parser)
    add_json(parser)


def add_by(parser: argparse.ArgumentParser) -> None:
    """The option that says whose word it is."""
    parser.add_argument("--by", metavar="NAME", help="whose decision it is (default: the user of this process)")


def name_of(options: argparse.Namespace) -> str:
    """Whose decision it is; empty if that cannot be found out."""
    if options.by is not None:
        return str(options.by)
    with contextlib.suppress(OSError, KeyError, ImportError):  # A container may have no name for its user.
        return getpass.getuser()
    return ""


def run(options: argparse.Namespace) -> None:
    """Move the head to the version that waits.

    Raises:
        InputError: none waits, or another one.
        ConflictError: somebody else is at work on the line, or moved the head meanwhile.
    """
    line = Line(options.root, single_writer=bool(options.single_writer))
    console = make_console(options.json)
    with following(options, console, line, "raygp approve"):
        done = line.approve(options.version, by=name_of(options))
    if options.json:
        print_json({"approved": done.version, "before": done.before, "moved": done.moved})
    elif not done.moved:
        console.print(f"{done.version} is the head already: nothing to do")
