"""``raygp check``: try out a task on a few rows before any cluster time is spent."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any

from raygp.cli.options import ROOT_VARIABLE, add_json
from raygp.cli.running import load_slow_modules, make_console, print_json
from raygp.errors import InputError
from raygp.line import Line
from raygp.tasks.own import is_own

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raygp.check import Finding, Row
    from raygp.check.subject import Subject

NAME = "check"
HELP = "try out your own task on a few rows, stage by stage, and say what is wrong"
ROOT_IS_NEEDED = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    from raygp.data.sources import source_forms

    parser.add_argument("task", metavar="FILE.py", help="your task's file (FILE.py:Class), or package.module:Class")
    parser.add_argument(
        "--source", metavar="KIND:PATH", help=f"take rows from there instead of from a line: {source_forms()}"
    )
    parser.add_argument("--image-size", type=int, help="side of the model's input in pixels, as for ingest")
    parser.add_argument("--augment", metavar="KIND", help="as for ingest")
    add_json(parser)
    parser.epilog = (
        f"Without --source, rows are training rows of the line that --root (or {ROOT_VARIABLE}) names; without either, "
        "pictures are made up."
    )


def run(options: argparse.Namespace) -> None:
    """A line for each check.

    Raises:
        InputError: the task cannot be made, there are no rows, or something is wrong with the task.
    """
    load_slow_modules()
    from raygp.check import check_task

    subject, from_where = _subject(options)
    console = make_console(options.json)
    found: list[Finding] = []
    console.print(f"{options.task}: {len(subject.rows)} rows {from_where}", soft_wrap=True)
    for finding in check_task(subject):
        found.append(finding)
        console.print(f"{finding.state:<12}  {finding.check:<12}  {finding.text}", soft_wrap=True, markup=False)
    if options.json:
        print_json([dataclasses.asdict(finding) for finding in found])
    wrong = [finding.check for finding in found if finding.state == "problem"]
    if wrong:
        raise InputError(
            f"{options.task}: {', '.join(wrong)} {'is' if len(wrong) == 1 else 'are'} not right, see above"
        )


def _subject(options: argparse.Namespace) -> tuple[Subject, str]:
    """The task on trial with its rows, and where these come from."""
    from raygp.check import made_up_rows, rows_of_line, rows_of_source
    from raygp.check.subject import Subject
    from raygp.settings import check_task_settings
    from raygp.tasks import make_task
    from raygp.tasks.making import fitted
    from raygp.tasks.own import own_spec, read_code

    if not is_own(options.task):
        raise InputError(f"{options.task}: give your task's file (my_task.py), or package.module:Class")
    code, class_name = read_code(options.task)
    line = Line(options.root) if options.root and not options.source else None
    given: dict[str, Any] = dict(line.task.get("given") or {}) if line else {}
    for name in ("image_size", "augment"):
        if (value := getattr(options, name)) is not None:
            given[name] = value
    spec = own_spec(code, class_name, given)
    check_task_settings(spec.model_dump(mode="json"))
    task = make_task(spec, code)
    rows: Sequence[Row]
    if options.source:
        rows, where = rows_of_source(options.source, task), f"of {options.source}"
    elif line:
        rows, where = rows_of_line(line.location, task), f"of {line.root}"
    else:
        rows, where = made_up_rows(task), "that are made up: --source KIND:PATH tries it on real ones"
    fields = fitted(task, ((row.sample, row.label) for row in rows))
    if fields is not None:
        task = make_task(fields, code)
    return Subject(task, fields or spec.model_dump(mode="json"), rows, code), where
