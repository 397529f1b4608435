"""``raygp ingest``: publish samples as an arrival, or check what was published."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from raygp.cli.options import add_config, add_held_out, add_publish_options, add_task_changed
from raygp.cli.running import load_slow_modules, make_console
from raygp.cli.telling import following
from raygp.errors import InputError
from raygp.line import Line
from raygp.tasks.own import is_own

if TYPE_CHECKING:
    from raygp.data.parts import RunParts

NAME = "ingest"
HELP = "publish samples as an arrival; makes the line if there is none"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    from raygp.data.sources import source_forms
    from raygp.tasks import TASKS
    from raygp.tasks.spec import AUGMENTS

    parser.add_argument("path", nargs="?", metavar="PATH", help="folder or file of samples whose kind is plain")
    parser.add_argument("--source", metavar="KIND:PATH", help=f"where the samples come from: {source_forms()}")
    parser.add_argument("--verify", action="store_true", help="read every published arrival again and check every hash")
    parser.add_argument("--arrival", metavar="NAME", help="its name (default: the next arrival-NNN)")
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="model of a new line: one of raygp's own, or a classifier of a library (timm:mobilenetv3_small_050, "
        "torchvision:resnet50)",
    )
    parser.add_argument(
        "--task",
        metavar="NAME",
        help=f"task of a new line: {', '.join(TASKS.names())}; or code of your own: my_task.py, package.module:Class",
    )
    add_task_changed(parser)
    parser.add_argument(
        "--image-size",
        type=int,
        help="side of the model's input in pixels, for a new line (default: the model's own, where it has one)",
    )
    parser.add_argument("--augment", metavar="KIND", help=f"for a new line: {', '.join(AUGMENTS)}")
    parser.add_argument(
        "--background",
        metavar="COLOUR",
        help="for a new line: what transparent pixels show, '#808080' or 128 (default white)",
    )
    parser.add_argument(
        "--tokenizer",
        metavar="FILE",
        help="for a new line of texts: a tokenizer.json (default: one is made from the training texts)",
    )
    parser.add_argument("--label", metavar="COLUMN", help="for a new line of table rows: the column of labels")
    parser.add_argument(
        "--categories", metavar="A,B", help="for a new line of table rows: columns that are categories, not numbers"
    )
    parser.add_argument("--drop", metavar="A,B", help="for a new line of table rows: columns that are left out")
    add_held_out(parser, 0.15, 0.15)
    parser.add_argument("--seed", type=int, default=0, help="of the draw of held-out samples (default 0)")
    add_publish_options(parser)
    add_config(parser, "settings: who is told")
    parser.add_argument("--new-classes", action="store_true", help="admit labels that the line has not seen")


def run(options: argparse.Namespace) -> None:
    """Publish, verify, or both.

    Raises:
        InputError: neither is asked for, the source cannot be used, or what was published is damaged.
    """
    if options.path and options.source:
        raise InputError(f"ingest: {options.path} and --source {options.source} are both given: one arrival is of one")
    source = _source(options)
    if not source and not options.verify:
        raise InputError("ingest: give a path or --source, or --verify to check what was published")
    load_slow_modules()
    own = options.task if is_own(options.task) else None
    line = Line(options.root, task=own, task_changed=options.task_changed)
    if source:
        _publish(line, source, options)
    if options.verify:
        _verify(line)


def _source(options: argparse.Namespace) -> str:
    """The form of the source, or a path of which the line finds out the kind; empty if there is none."""
    from raygp.data.sources import is_form, open_source

    given: str = options.path or options.source or ""
    if options.source and not is_form(options.source) and not os.path.exists(os.path.expanduser(options.source)):
        open_source(options.source)  # Raises, with the form that may be meant.
    # A folder may be called "digits", as one of raygp's own sources is.
    return f"./{given}" if options.path and is_form(given) and os.path.exists(given) else given


def _publish(line: Line, source: str, options: argparse.Namespace) -> None:
    from raygp.data.ingest_settings import IngestSettings

    task = _task_of(options)
    settings = IngestSettings(
        [options.arrival] if options.arrival is not None else [],
        val_share=options.val_share,
        test_share=options.test_share,
        seed=options.seed,
        new_classes=options.new_classes,
        max_bad_share=options.max_bad_share,
        duplicates=options.duplicates,
        strict=options.strict,
    )
    console = make_console()
    with following(options, console, line, "raygp ingest"), parts_runner(options.ingest_workers) as run_parts:
        line.ingest(source, settings, task=task, run=run_parts)


def _task_of(options: argparse.Namespace) -> dict[str, Any] | None:
    """What the options say of the task; None if they say nothing.

    Raises:
        InputError: no model is called as ``--model`` says, or ``--task`` says another.
    """
    from raygp.tasks.libraries import named_model

    given: dict[str, Any] = {"name": None if is_own(options.task) else options.task}
    if options.model is not None:
        named = named_model(options.model)
        if options.task is not None and options.task != named["name"]:
            raise InputError(f"--model {options.model} is of task {named['name']}: leave --task {options.task} out")
        given |= named
    given |= {name: getattr(options, name) for name in ("image_size", "augment", "background", "tokenizer", "label")}
    given |= {name: text.split(",") for name in ("categories", "drop") if (text := getattr(options, name)) is not None}
    return {key: value for key, value in given.items() if value is not None} or None


@contextlib.contextmanager
def parts_runner(tasks: int) -> Iterator[RunParts | None]:
    """What writes the parts of an arrival: this process, or Ray tasks for the time of the block.

    Args:
        tasks: Ray tasks side by side; 1: this process, without Ray.

    Raises:
        InputError: there is no such number of tasks.
    """
    if tasks < 1:
        raise InputError(f"--ingest-workers must be at least 1, not {tasks}")
    if tasks == 1:
        yield None
        return
    from raygp.cluster.session import ray_session

    with ray_session():
        # Imports Ray, which the session has to prepare for.
        from raygp.cluster.ingest_run import as_tasks

        yield as_tasks(tasks)


def _verify(line: Line) -> None:
    """A line for each arrival.

    Raises:
        InputError: something is damaged, missing or too much; the message names the first file.
    """
    console = make_console()
    problems: list[str] = []
    for found in line.verify():
        if found.rows is None and not found.problems:
            console.print(f"{found.arrival}: not published (an ingest is running, or was killed: see raygp gc)")
        for problem in found.problems:
            console.print(f"{found.arrival}: {problem}")
        if found.rows is not None and not found.problems:
            size = f"{found.bytes / 1e6:,.1f} MB"
            console.print(f"{found.arrival}: {found.shards} shards, {found.rows:,} rows, {size}: whole")
        problems += found.problems
    if problems:
        more = f" (and {len(problems) - 1} more, listed above)" if len(problems) > 1 else ""
        raise InputError(f"{problems[0]}{more}")
