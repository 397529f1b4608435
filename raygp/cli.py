"""The ``raygp`` command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from raygp import __version__, app, upkeep
from raygp.data.ingest import IngestSettings
from raygp.data.sources import open_source
from raygp.errors import InputError
from raygp.jobs import add_publish_options, add_single_writer, add_update_options, parse_options, run_settings
from raygp.store import Location, list_arrivals, open_line
from raygp.tasks import TASKS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (0 done, 1 failed, 2 bad input, 3 lost a race, 4 rejected by the gate)."""
    options = parse_options(_parser(), arguments)
    return app.run_command(lambda: options.command(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="raygp", description="Keeps a sparse network up to date while data arrive.")
    parser.add_argument("--version", action="version", version=f"raygp {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    ingest = _command(commands, "ingest", _ingest, "publish samples as an arrival; makes the line if there is none")
    ingest.add_argument(
        "--source",
        metavar="KIND:PATH",
        help="imagefolder, parquet, webdataset, idx, an4 or audio:PATH, or digits or tones",
    )
    ingest.add_argument("--verify", action="store_true", help="read every published arrival again and check every hash")
    ingest.add_argument("--arrival", metavar="NAME", help="its name (default: the next arrival-NNN)")
    ingest.add_argument("--task", choices=list(TASKS), help="model of a new line")
    ingest.add_argument("--image-size", type=int, help="side of the model's input in pixels, for a new line")
    ingest.add_argument("--augment", choices=["none", "shift", "shift-flip", "resized-crop"], help="for a new line")
    ingest.add_argument("--val-share", type=float, default=0.15, help="part held out for validation (default 0.15)")
    ingest.add_argument(
        "--test-share",
        type=float,
        default=0.15,
        help="part held out for testing, where the source has no test set (default 0.15)",
    )
    ingest.add_argument("--seed", type=int, default=0, help="of the draw of held-out samples (default 0)")
    add_publish_options(ingest)
    ingest.add_argument("--new-classes", action="store_true", help="admit labels that the line has not seen")

    add_update_options(_command(commands, "update", _update, "fold every new arrival into the model, oldest first"))
    sweep = _command(commands, "sweep", _sweep, "the same as update --sweep; --dry-run says what it would try and cost")
    add_update_options(sweep)
    sweep.add_argument("--dry-run", action="store_true", help="only say what it would try and cost")
    sweep.set_defaults(sweep=True)
    _command(commands, "status", _status, "head, arrivals seen and waiting")
    versions = _command(commands, "versions", _versions, "all versions with accuracy, density and cost")
    versions.add_argument("--graph", action="store_true", help="as a tree: which version was made from which")
    show = _command(commands, "show", _show, "one version: phases, layers, cost")
    show.add_argument("version", help="such as v0002")
    rollback = _command(commands, "rollback", _rollback, "make an earlier version the head again")
    rollback.add_argument("version", help="such as v0002")
    add_single_writer(rollback)
    gc = _command(commands, "gc", _gc, "delete what nothing refers to any more")
    gc.add_argument("--dry-run", action="store_true", help="only list it")
    gc.add_argument(
        "--older-than", default="7d", metavar="AGE", help="spare what is younger: such as 7d, 12h, 30m (default 7d)"
    )
    return parser


def _command(commands: argparse._SubParsersAction, name: str, run, text: str) -> argparse.ArgumentParser:  # type: ignore[no-untyped-def,type-arg]
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("--root", required=True, help="where the model line lives: path or URL")
    parser.set_defaults(command=run)
    return parser


def _ingest(options: argparse.Namespace) -> None:
    location = Location(options.root)
    if options.source:
        _publish(options, location)
    elif not options.verify:
        raise InputError("ingest: give --source, or --verify to check what was published")
    if options.verify:
        upkeep.verify(app.make_console(), location)


def _publish(options: argparse.Namespace, location: Location) -> None:
    given = {"name": options.task, "image_size": options.image_size, "augment": options.augment}
    task = {key: value for key, value in given.items() if value is not None} or None
    name = options.arrival or f"arrival-{len(list_arrivals(location)):03d}"
    settings = IngestSettings(
        [name],
        [1.0],
        options.val_share,
        options.test_share,
        options.seed,
        new_classes=options.new_classes,
        max_bad_share=options.max_bad_share,
    )
    app.publish(app.make_console(), location, task, open_source(options.source), settings, options.ingest_workers)


def _update(options: argparse.Namespace) -> None:
    settings = run_settings(options, open_line(Location(options.root)).task["name"])
    location = Location(options.root, settings.single_writer)
    console = app.make_console()
    if app.update(console, location, settings, options.verbose, options.sweep):
        app.report(console, location)


def _sweep(options: argparse.Namespace) -> None:
    if not options.dry_run:
        return _update(options)
    location = Location(options.root)
    app.plan_sweep(app.make_console(), location, run_settings(options, open_line(location).task["name"]))


def _status(options: argparse.Namespace) -> None:
    app.status(app.make_console(), Location(options.root))


def _versions(options: argparse.Namespace) -> None:
    show = upkeep.graph if options.graph else app.report
    show(app.make_console(), Location(options.root))


def _show(options: argparse.Namespace) -> None:
    app.show(app.make_console(), Location(options.root), options.version)


def _rollback(options: argparse.Namespace) -> None:
    upkeep.roll_back(app.make_console(), Location(options.root, bool(options.single_writer)), options.version)


def _gc(options: argparse.Namespace) -> None:
    upkeep.collect_garbage(
        app.make_console(), Location(options.root), upkeep.parse_age(options.older_than), options.dry_run
    )
