"""``raygp reject``: refuse the version that waits for a person."""

from __future__ import annotations

import argparse

from raygp.cli.approve import add_by, name_of
from raygp.cli.options import add_config, add_json, add_single_writer
from raygp.cli.running import make_console, print_json
from raygp.cli.telling import following
from raygp.line import Line

NAME = "reject"
HELP = "refuse the version that waits for approval; its files go"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("version", help="such as v0007")
    parser.add_argument("--because", metavar="TEXT", default="", help="the reason, which is kept and told")
    add_by(parser)
    add_config(parser, "settings: who is told")
    add_single_writer(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Refuse the version that waits.

    Raises:
        InputError: none waits, or another one.
        ConflictError: somebody else is at work on the line.
    """
    line = Line(options.root, single_writer=bool(options.single_writer))
    with following(options, make_console(options.json), line, "raygp reject"):
        card = line.reject(options.version, because=options.because, by=name_of(options))
    if options.json:
        print_json({"rejected": card.version, "head": line.state.version, "because": options.because})
