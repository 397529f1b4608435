"""Who is told of what a command does to a line: the terminal, and everybody whom the settings name (``tell:``)."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from raygp.line import Line

if TYPE_CHECKING:
    from raygp.cli.printer import Printer
    from raygp.events import Listener
    from raygp.tell import TellSettings


def add_events(parser: argparse.ArgumentParser) -> None:
    """The option of every command that changes a line."""
    parser.add_argument(
        "--events", metavar="FILE", help="append every event to this file, as JSON lines (see docs/guides/tell.md)"
    )


def everybody(options: argparse.Namespace, tell: Sequence[TellSettings] | None = None) -> list[TellSettings]:
    """Who is told beside the terminal. Arguments and errors as for :func:`following`."""
    from raygp.settings import load_tell
    from raygp.tell.json_lines import JsonLinesSettings

    tellers = [*(load_tell(options.config) if tell is None else tell)]
    return [*tellers, JsonLinesSettings(file=options.events)] if options.events is not None else tellers


@contextlib.contextmanager
def following(
    options: argparse.Namespace,
    console: Console,
    line: Line,
    doing: str,
    tell: Sequence[TellSettings] | None = None,
) -> Iterator[Printer]:
    """Print what happens to the line in the block, and tell everybody whom the settings name.

    Args:
        options: their ``--events``, and their ``--config`` where ``tell`` is not given.
        console: what to print on.
        line: is listened to, for the time of the block.
        doing: the command, for whoever is told of a failure: "raygp update".
        tell: whom; None: those of the settings file of ``--config``.

    Raises:
        InputError: the settings file cannot be read, or a teller in it does not fit.
    """
    from raygp.cli.printer import printing
    from raygp.tell import listeners

    tellers = everybody(options, tell)
    with printing(console, line.location) as printer, contextlib.ExitStack() as stack:
        stack.callback(line.listen(printer))
        told: Listener = stack.enter_context(listeners(tellers, line, notice=printer, doing=doing))
        stack.callback(line.listen(told))
        yield printer
