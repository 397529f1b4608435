"""``raygp status``: where a line stands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel
from rich.console import Console

from raygp.cli.options import add_json
from raygp.cli.running import make_console, print_json
from raygp.drift import drift_line
from raygp.line import Line, UnfinishedUpdate
from raygp.line.drift import known_drift
from raygp.record import Compared, DriftRecord
from raygp.report.drift import transfer_line
from raygp.report.parts import worst_line
from raygp.report.tables import arrivals_table
from raygp.report.verdict import verdict_line, waiting_line
from raygp.store import Manifest
from raygp.store.watched import WatchNotes
from raygp.tasks.libraries import title_of

NAME = "status"
HELP = "head, arrivals seen and waiting, updates that are half done"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    add_json(parser)
    parser.add_argument(
        "--metrics",
        action="store_true",
        help="print the line's health for Prometheus, such as for a textfile collector",
    )


def run(options: argparse.Namespace) -> None:
    """Show where the line stands."""
    line = Line(options.root)
    if options.metrics:
        from raygp.health import HealthReader, exposition

        sys.stdout.write(exposition(HealthReader(line).read()).decode())
        return
    if options.json:
        print_json(_json(line))
    else:
        _show(make_console(), line)


def _show(console: Console, line: Line) -> None:
    state = line.state
    console.print(f"line {line.root}: task {title_of(state.task)}")
    if state.card:
        console.print(f"head {state.card.version}: density {state.card.density:.4f}, {verdict_line(state.card)}")
        if worst := worst_line(state.card):
            console.print(worst, soft_wrap=True)
        if transfer := state.card.backward_transfer:
            console.print(transfer_line(transfer, state.card.metric), markup=False, soft_wrap=True)
        if (drift := state.card.drift) is not None and drift.level != "none":
            console.print(drift_line(drift), markup=False, soft_wrap=True)
    else:
        console.print("head: none yet (raygp update makes the first version)")
    if waiting := line.waiting:
        folded = ", ".join(waiting.card.folded_in)
        console.print(f"{waiting.version} of {folded}: {verdict_line(waiting.card)}", soft_wrap=True, markup=False)
        console.print(
            f"{waiting_line(line.root, waiting.version)} (since {waiting.since[:19]} UTC; no update starts until then)",
            soft_wrap=True,
            markup=False,
        )
    shown = ", ".join(state.seen[-5:])
    console.print(f"arrivals in the head: {len(state.seen)}" + (f" (last {shown})" if shown else ""))
    if state.pending:
        arrivals_table(state.pending).show(console)
        for drift in known_drift(line.location, state).values():
            if drift.level != "none":
                console.print(drift_line(drift), markup=False, soft_wrap=True)
        for arrival, reason in _left(line).items():
            console.print(f"raygp watch leaves {arrival} alone: {reason}", markup=False, soft_wrap=True)
    else:
        console.print("nothing is waiting")
    for unfinished in _unfinished(line):
        console.print(_unfinished_line(line, unfinished), soft_wrap=True)


def _left(line: Line) -> dict[str, str]:
    """Arrivals that wait and that watchers leave alone, and why."""
    left = WatchNotes(line.location).read().left if line.pending else {}
    return {manifest.arrival: left[manifest.arrival].reason for manifest in line.pending if manifest.arrival in left}


def _unfinished(line: Line) -> list[UnfinishedUpdate]:
    """What is half done. Where nothing waits there is nothing that could be gone on with: storage is not asked."""
    return line.unfinished() if line.pending else []


def _unfinished_line(line: Line, unfinished: UnfinishedUpdate) -> str:
    arrivals = ", ".join((*unfinished.beside, unfinished.arrival))
    what = "a sweep" if unfinished.sweep else "an update"
    done = ""
    if not unfinished.sweep:
        done = ", no checkpoint yet" if unfinished.epochs is None else f", {unfinished.epochs} epochs done"
    return (
        f"half done: {what} of {arrivals} to {unfinished.version}{done}. The same command goes on with it; "
        f"raygp gc --root {line.root} --older-than 0s drops it"
    )


def _parts(parts: Mapping[str, Compared]) -> dict[str, Any]:
    return {name: part.model_dump(mode="json") for name, part in parts.items()}


def _plain(record: BaseModel | None) -> dict[str, Any] | None:
    return record.model_dump(mode="json") if record else None


def _waiting(manifest: Manifest, drift: DriftRecord | None) -> dict[str, Any]:
    return {
        "arrival": manifest.arrival,
        "train": manifest.rows("train"),
        "val": manifest.rows("val"),
        "test": manifest.rows("test"),
        "drift": _plain(drift),
    }


def _awaiting(line: Line) -> dict[str, Any] | None:
    """The version that waits for approval."""
    if (waiting := line.waiting) is None:
        return None
    return {
        "version": waiting.version,
        "parent": waiting.parent,
        "since": waiting.since,
        "reason": waiting.reason,
        "arrivals": waiting.card.folded_in,
        "val_accuracy": waiting.card.val_accuracy,
    }


def _json(line: Line) -> dict[str, Any]:
    state, drift = line.state, known_drift(line.location, line.state)
    return {
        "root": line.root,
        "task": state.task,
        "head": state.version,
        "density": state.card.density if state.card else None,
        "val_accuracy": state.card.val_accuracy if state.card else None,
        "test_accuracy": state.card.test_accuracy if state.card else None,
        "by_arrival": _parts(state.card.by_arrival) if state.card else {},
        "by_class": _parts(state.card.by_class) if state.card else {},
        "drift": _plain(state.card.drift) if state.card else None,
        "backward_transfer": _plain(state.card.backward_transfer) if state.card else None,
        "seen": list(state.seen),
        "pending": [_waiting(manifest, drift.get(manifest.arrival)) for manifest in state.pending],
        "left_alone": _left(line),
        "waiting": _awaiting(line),
        "unfinished": [asdict(unfinished) for unfinished in _unfinished(line)],
    }
