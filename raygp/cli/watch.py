"""``raygp watch``: keep a line up to date by itself."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raygp.cli.options import add_own_task, add_update_options, given_settings, line_of
from raygp.cli.telling import everybody
from raygp.errors import InputError
from raygp.events import ArrivalSeen, AwaitsApproval, Event, Promoted, Refused, Rejected
from raygp.line import Line
from raygp.stopping import Terminated

if TYPE_CHECKING:
    from raygp.cli.watch_lines import WatchLines
    from raygp.watch.page import ServedReport

NAME = "watch"
HANDS = "raygp.cli.watch_hands"
"""Module of the process that ingests and updates."""
_METRICS_AGE_S = 30.0
"""Storage is asked for the line's health no more often than this, however often Prometheus asks."""
_LAST_PORT = 65_535
_TOLD_BY_REPORT = (ArrivalSeen, AwaitsApproval, Promoted, Refused, Rejected)
"""After these the report is looked at again without anybody asking."""
HELP = "look after a line: ingest what comes into a drop folder, update when something waits"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--once", action="store_true", help="do what is to do now and exit, as cron wants it")
    parser.add_argument(
        "--retry", action="store_true", help="forget what failed or was left out, so that it is tried again, and exit"
    )
    parser.add_argument("--interval", type=float, metavar="S", help="seconds between two looks (default 60)")
    parser.add_argument(
        "--drop", metavar="DIR", help="drop folder, a path or an address: what comes into it is ingested"
    )
    parser.add_argument(
        "--json", action="store_true", help="print events as JSON lines; the rest goes to standard error"
    )
    parser.add_argument(
        "--metrics-port", type=int, metavar="PORT",
        help="serve the line's health for Prometheus at http://127.0.0.1:PORT/metrics (0: a free port)",
    )  # fmt: skip
    parser.add_argument(
        "--report", type=_port, nargs="?", const=0, metavar="PORT",
        help="serve the line's report at http://127.0.0.1:PORT/, made anew when it has changed (without PORT: a free "
        "port)",
    )  # fmt: skip
    add_update_options(parser)
    add_own_task(parser)


def run(options: argparse.Namespace) -> None:
    """Watch until the process is asked to end; with ``--once``, until nothing is to do now.

    Raises:
        InputError: there is no line, an option or a setting does not fit, or a port is taken.
        RejectedError: with ``--once``: a candidate was refused.
        RaygpError: with ``--once``: whatever else went wrong last.
    """
    from raygp.cli.watch_lines import WatchLines
    from raygp.settings import load_standing
    from raygp.tell import listeners
    from raygp.watch.loop import Watcher
    from raygp.watch.process import OtherHands

    if options.report is not None and (options.once or options.retry):
        raise InputError("--report is for a watcher that stays: raygp report makes the page once")
    given = _given(options)
    # No plans are looked at here: those of a task load torch, which an idle watcher does without.
    settings = load_standing(given["file"], given["overrides"], **given["flags"])
    line = line_of(options, settings.single_writer)
    lines = WatchLines(sys.stderr if options.json else sys.stdout)
    hands = OtherHands(HANDS, _opening(options, settings.single_writer, given))
    with contextlib.ExitStack() as stack:
        tellers = everybody(options, settings.tell)
        told = stack.enter_context(listeners(tellers, line, notice=lines, doing="raygp watch"))

        if options.metrics_port is not None:
            lines.say(f"metrics: http://127.0.0.1:{stack.enter_context(_metrics(line, options.metrics_port))}/metrics")
        report = None
        if options.report is not None:
            report, port = stack.enter_context(_report(options, line, lines))
            lines.say(f"report: http://127.0.0.1:{port}/")

        def tell(event: Event) -> None:
            lines(event)
            if report is not None and isinstance(event, _TOLD_BY_REPORT):
                report.look()
            if options.json:
                _print_event(event)
            told(event)

        watcher = Watcher(line, settings.watch, hands, tell, _digest(given))
        if options.retry:
            watcher.retry()
            return
        try:
            watcher.run(once=options.once)
        except Terminated:
            if options.once:
                raise
            lines.say("stopped on request")  # What a service is asked for when it is stopped: no failure.
            return
        if watcher.problem is not None:
            raise watcher.problem


def _metrics(line: Line, port: int) -> AbstractContextManager[int]:
    """Serve the line's health for the time of the block; the port. Raises InputError if it is taken."""
    from raygp.health import HealthReader, exposition, serving_metrics

    # A line of its own: what another thread reads changes nothing of what the watcher knows.
    reader = HealthReader(Line(line.location))
    return serving_metrics(lambda: exposition(reader.read(_METRICS_AGE_S)), port)


@contextlib.contextmanager
def _report(options: argparse.Namespace, line: Line, lines: WatchLines) -> Iterator[tuple[ServedReport, int]]:
    """Serve the line's report for the time of the block; it, and the port. Raises InputError where that cannot be."""
    from raygp.loopback import serving
    from raygp.page.packages import PACKAGES
    from raygp.tasks.extras import installed
    from raygp.watch.page import ServedReport, standing_of

    for package in PACKAGES:
        installed(package, "raygp watch --report", "report")
    _ = line.refresh()  # Where there is none, the watcher says so, and not a page.
    own = [f"--task={options.task}"] if options.task else []
    own += ["--task-changed"] if options.task_changed else []
    command = [sys.executable, "-m", "raygp", "report", f"--root={options.root}", *own, "--out"]
    report = ServedReport(command, lambda: standing_of(line.location), lines.say)
    answers = {"/": report.answer, "/report.html": report.answer}
    with serving(answers, options.report, "the report", is_private=True) as port, report.working():
        yield report, port


def _port(text: str) -> int:
    """A port as it is given. Raises ArgumentTypeError."""
    if not text.isascii() or not text.isdigit() or int(text) > _LAST_PORT:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no port (0 to {_LAST_PORT}); where a setting follows, give the option last or with a port"
        )
    return int(text)


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """What the options say of settings, those of the watcher too."""
    given: list[str] = []
    if options.interval is not None:
        given.append(f"watch.interval_s={options.interval}")
    if options.drop is not None:
        given.append(f"watch.drop.folder={json.dumps(options.drop)}")
    if options.sweep:
        given.append("watch.sweep=true")
    options.overrides = [*given, *options.overrides]
    return given_settings(options)


def _opening(options: argparse.Namespace, single_writer: bool, given: dict[str, Any]) -> dict[str, Any]:
    """What the process that updates has to know."""
    return {
        "root": options.root,
        "single_writer": single_writer,
        "task": options.task,
        "task_changed": options.task_changed,
        "settings": given,
        "verbose": options.verbose,
    }


def _digest(given: dict[str, Any]) -> str:
    """Of what the options and the settings file say of updates."""
    file = Path(given["file"]).read_bytes() if given["file"] else b""
    overrides = [override for override in given["overrides"] if not override.startswith("watch.")]
    said = json.dumps([overrides, given["flags"]], sort_keys=True)
    return hashlib.sha256(said.encode() + b"\0" + file).hexdigest()[:16]


def _print_event(event: Event) -> None:
    from raygp.events import as_json

    print(json.dumps(as_json(event), ensure_ascii=False), flush=True)
