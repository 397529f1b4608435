"""The jobs' common part: publish a source as arrivals if that has not been done, then bring the line up to date."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from raygp.cli.ingest import parts_runner
from raygp.cli.options import add_fold, add_held_out, add_publish_options, add_root, add_update_options, run_settings
from raygp.cli.running import load_slow_modules, make_console, run_command, spelled_command
from raygp.cli.telling import following
from raygp.cli.versions import show_versions
from raygp.data.ingest_settings import IngestSettings, default_shares, numbered_arrivals
from raygp.errors import ConflictError, InputError
from raygp.line import Line
from raygp.store import check_root_usable, list_arrivals

if TYPE_CHECKING:
    from raygp.data.sources import Source


def add_job_options(parser: argparse.ArgumentParser, root: str, val_share: float, test_share: float) -> None:
    """Options that every job has."""
    add_root(parser, root)
    parser.add_argument("--arrivals", type=int, default=3, metavar="N", help="how many arrivals to make (default 3)")
    parser.add_argument(
        "--shares",
        type=float,
        nargs="+",
        metavar="S",
        help="part of the training samples in each (default 0.6, the rest in equal parts)",
    )
    add_held_out(parser, val_share, test_share)
    add_publish_options(parser)
    add_update_options(parser, from_environment=False)
    add_fold(parser)


def run_job(options: argparse.Namespace, task: dict[str, Any], make_source: Callable[[], Source]) -> int:
    """Publish, update, print the table. Returns the exit code.

    Args:
        options: those of :func:`add_job_options`.
        task: of the line, if it has to be made: the task's name and options.
        make_source: opens the source; called only if something has to be published.
    """

    def command() -> None:
        load_slow_modules()
        from raygp.cluster.runner import RayRunner

        settings = run_settings(options, task)
        shares = equal_or_given_shares(options.arrivals, options.shares)
        line = Line(options.root, single_writer=settings.single_writer)
        console = make_console()
        publish = IngestSettings(
            numbered_arrivals(options.arrivals),
            shares,
            options.val_share,
            options.test_share,
            settings.seed,
            max_bad_share=options.max_bad_share,
            duplicates=options.duplicates,
            strict=options.strict,
        )
        with following(options, console, line, "a job", settings.tell):
            publish_missing(line, task, make_source, publish, options.ingest_workers)
            line.update(settings, runner=RayRunner(options.verbose), sweep=options.sweep, fold=options.fold)
        show_versions(line, console)

    return run_command(command, spelled_command())


def publish_missing(
    line: Line, task: dict[str, Any], make_source: Callable[[], Source], settings: IngestSettings, tasks: int = 1
) -> None:
    """Publish those of the arrivals that are not there yet, so that an interrupted job can be run again.

    Args:
        line: gets them.
        task: of a new line.
        make_source: opens the source; called only if something is missing.
        settings: names of all arrivals, shares and the rest.
        tasks: Ray tasks that write samples side by side; 1: this process does, without Ray.

    Raises:
        InputError: the arrivals that are there came from another source.
    """
    check_root_usable(line.location)
    published = {manifest.arrival: manifest for manifest in list_arrivals(line.location)}
    missing = [name for name in settings.arrivals if name not in published]
    if not missing:
        return
    source = make_source()
    for name in settings.arrivals:
        if name in published and published[name].source != source.name:
            raise InputError(
                f"{line.root} has {name} from '{published[name].source}', not from '{source.name}': "
                "give another --root, or add to this one with raygp ingest"
            )
    try:
        with parts_runner(tasks) as run_parts:
            line.ingest(source, settings, task=task, run=run_parts)
    except ConflictError as error:
        if not published:
            raise
        raise InputError(
            f"{line.root} has some of the arrivals of this job but not {', '.join(missing)}: "
            "give another --root, or add them with raygp ingest"
        ) from error


def equal_or_given_shares(arrivals: int, shares: Sequence[float] | None) -> list[float]:
    """Parts of the training samples by arrival: as given, or 60 % first and the rest in equal parts.

    Raises:
        InputError: not as many shares as arrivals, or they do not add up to 1.
    """
    if arrivals < 1:
        raise InputError(f"--arrivals must be at least 1, not {arrivals}")
    if shares is None:
        return default_shares(arrivals)
    if len(shares) != arrivals or abs(sum(shares) - 1.0) > 1e-6 or min(shares) <= 0:
        raise InputError(f"--shares needs {arrivals} positive numbers that add up to 1, not {list(shares)}")
    return list(shares)
