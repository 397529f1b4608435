"""``raygp report``: what happened to a line, as one page that needs nothing else."""

from __future__ import annotations

import argparse
from pathlib import Path

from raygp.cli.options import add_own_task, line_of
from raygp.cli.printer import printing
from raygp.cli.running import load_slow_modules, make_console, print_json

NAME = "report"
HELP = "what happened to the line and whether it was worth it, as one page of HTML that needs nothing else"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "--out",
        metavar="FILE.html",
        help="the page to write, over an earlier one (default report.html; with --json none unless said)",
    )
    parser.add_argument(
        "--no-examples",
        action="store_true",
        help="do not answer held-out rows with the head and its parent, to show where they differ",
    )
    add_own_task(parser)
    parser.add_argument(
        "--json",
        action="store_true",
        help="print what the page says as one JSON value on standard output; the rest goes to standard error",
    )


def run(options: argparse.Namespace) -> None:
    """Write the page, or print its figures.

    Raises:
        InputError: there is no line, the file is something else's, or a package is missing.
    """
    out = options.out if options.out is not None or options.json else "report.html"
    line, console = line_of(options), make_console(options.json)
    line.refresh()
    if out is not None:
        from raygp.page.writing import check_free

        check_free(out)
    load_slow_modules()
    with printing(console, line.location) as printer:
        line.listen(printer)
        story = line.report(out, examples=not options.no_examples)
    if options.json:
        print_json(story.model_dump(mode="json"))
    if out is not None:
        size = Path(out).stat().st_size / 1e6
        versions = len(story.versions)
        console.print(
            f"{out}: {versions:,} version{'' if versions == 1 else 's'}, {size:.1f} MB; open it in a browser",
            markup=False,
            soft_wrap=True,
        )
