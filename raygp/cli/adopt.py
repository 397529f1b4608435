"""``raygp adopt``: a dense model that somebody trained becomes the line's first version."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from raygp.cli.options import add_config, add_json, add_own_task, add_single_writer, line_of
from raygp.cli.running import load_slow_modules, make_console, print_json
from raygp.cli.telling import following
from raygp.cli.versions import show_versions, versions_json
from raygp.errors import InputError
from raygp.line import Adoption, Line

if TYPE_CHECKING:
    from raygp.settings import RunSettings

NAME = "adopt"
HELP = "make a dense model that somebody trained the first version; the next update prunes it"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "--weights",
        metavar="FILE",
        required=True,
        help="the checkpoint: .safetensors (or its .index.json), or a state dict that torch.save wrote (.pth, .pt)",
    )
    parser.add_argument(
        "--classes",
        metavar="FILE",
        help="which output is which class: one class a line, or JSON (a list, or ids to names). Without it, what the "
        "checkpoint says, or the line's own order if it leaves no doubt",
    )
    parser.add_argument(
        "--density",
        type=float,
        metavar="D",
        help="prune it at once: runs raygp update plan.density=D on everything that waits, such as 0.1; later updates "
        "have their own plan's density again, so give it to them, too",
    )
    add_config(parser, "settings: of them, who is told; with --density, all of that update")
    parser.add_argument("--workers", metavar="N", help="with --density: training workers of that update (default 2)")
    parser.add_argument("--seed", type=int, help="of what is new in the model, and of that update (default 0)")
    add_single_writer(parser)
    add_own_task(parser)
    add_json(parser)
    parser.add_argument("-v", "--verbose", action="store_true", help="with --density: show Ray's logs")
    parser.set_defaults(overrides=[])
    parser.epilog = "With --density, any setting of that update can follow as key.path=value, such as plan.epochs=6."


def run(options: argparse.Namespace) -> None:
    """Adopt the model, and update the line if a density is given.

    Raises:
        InputError: the line has a version or no arrival, or the checkpoint cannot be read or does not fit.
        RaygpError: whatever ended the update; see :meth:`raygp.line.Line.update`.
    """
    load_slow_modules()
    line = line_of(options)
    _ = line.code  # Looked up first: code that has changed may change the settings, too.
    settings = _settings(options, line)
    line = line_of(options, settings.single_writer)
    console = make_console(options.json)
    runner = None
    if options.density is not None:
        from raygp.cluster.runner import RayRunner

        runner = RayRunner(options.verbose)
    with following(options, console, line, "raygp adopt", settings.tell):
        done = line.adopt(
            options.weights, classes=options.classes, density=options.density, settings=settings, runner=runner
        )
    if options.json:
        print_json(_json(line, done))
        return
    show_versions(line, console)
    if options.density is not None:
        said = f"the density is not remembered: give later updates {_density(options)}, too, or a --config that has it"
        console.print(said, soft_wrap=True)
    if not done.updated:
        console.print(f"next: raygp update --root {line.root}", soft_wrap=True)


def _settings(options: argparse.Namespace, line: Line) -> RunSettings:
    """The settings of the update, which are refused where there will be none.

    Raises:
        InputError: one of them does not exist or does not fit.
    """
    given = [*(["--workers"] if options.workers else []), *options.overrides]
    if given and options.density is None:
        raise InputError(f"{given[0]} is for the update that --density asks for: give --density, such as 0.1")
    overrides = list(options.overrides) if options.density is None else [*options.overrides, _density(options)]
    flags = {"workers": options.workers, "seed": options.seed, "single_writer": options.single_writer}
    return line.settings(options.config, *overrides, **flags)


def _density(options: argparse.Namespace) -> str:
    return f"plan.density={options.density}"


def _json(line: Line, done: Adoption) -> dict[str, Any]:
    card = done.version.card
    return {
        "adopted": card.version,
        "origin": card.origin.model_dump(mode="json") if card.origin else None,
        "head_is_new": done.head_is_new,
        "classes": card.classes,
        "without_rows": list(done.without_rows),
        "new_classes": list(done.new_classes),
        "notes": list(done.notes),
        "promoted": [version.name for version in done.updated],
        "versions": versions_json(line),
    }
