"""``raygp update``: fold every new arrival into the model."""

from __future__ import annotations

import argparse

from raygp.cli.options import add_fold, add_json, add_own_task, add_update_options, line_of, run_settings
from raygp.cli.running import load_slow_modules, make_console, print_json
from raygp.cli.telling import following
from raygp.cli.versions import show_versions, versions_json

NAME = "update"
HELP = "fold every new arrival into the model, oldest first"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    add_update_options(parser)
    add_fold(parser)
    add_own_task(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Update the line, then show all its versions.

    Raises:
        RejectedError: the gate refused a candidate.
        RaygpError: whatever else ended it; see :meth:`raygp.line.Line.update`.
    """
    load_slow_modules()
    line = line_of(options)
    _ = line.code  # Looked up first: code that has changed may change the settings, too.
    settings = run_settings(options, line.task)
    line = line_of(options, settings.single_writer)
    console = make_console(options.json)
    from raygp.cluster.runner import RayRunner

    doing = "raygp sweep" if options.sweep else "raygp update"
    with following(options, console, line, doing, settings.tell):
        promoted = line.update(settings, runner=RayRunner(options.verbose), sweep=options.sweep, fold=options.fold)
    if options.json:
        waiting = line.waiting
        print_json(
            {
                "promoted": [version.name for version in promoted],
                "waiting": waiting.version if waiting else None,
                "versions": versions_json(line),
            }
        )
    elif promoted:
        show_versions(line, console)
