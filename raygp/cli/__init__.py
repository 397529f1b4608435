"""The ``raygp`` command: one module a command, which parses its options, asks a :class:`raygp.line.Line`, and prints.

A command is a module with ``NAME``, ``HELP``, ``add_options(parser)`` and ``run(options)``; :data:`COMMANDS` lists
them. What is slow to load (torch, Ray) they import inside ``run``, so that ``--help`` and the commands that train
nothing answer at once.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from types import ModuleType

from raygp import __version__
from raygp.cli.options import add_root, parse_options
from raygp.cli.running import run_command, spelled_command

COMMANDS = (
    "init_task",
    "check",
    "ingest",
    "adopt",
    "update",
    "sweep",
    "watch",
    "status",
    "versions",
    "show",
    "report",
    "predict",
    "export",
    "approve",
    "reject",
    "rollback",
    "withdraw",
    "doctor",
    "serve",
    "tell",
    "gc",
)
"""Modules of this package, in the order in which ``--help`` lists them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code: 0 done, 1 failed, 2 bad input, 3 lost a race, 4 refused by the gate, 130 and 143 interrupted.
    """
    options = parse_options(make_parser(), arguments)
    return run_command(lambda: options.command(options), spelled_command(arguments))


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(prog="raygp", description="Keeps a sparse network up to date while data arrive.")
    parser.add_argument("--version", action="version", version=f"raygp {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in COMMANDS:
        module: ModuleType = importlib.import_module(f"raygp.cli.{name}")
        command = commands.add_parser(module.NAME, help=module.HELP, description=module.HELP)
        if getattr(module, "HAS_ROOT", True):
            add_root(command)
        module.add_options(command)
        command.set_defaults(command=module.run, root_is_needed=getattr(module, "ROOT_IS_NEEDED", True))
    return parser
