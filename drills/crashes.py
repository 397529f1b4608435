"""An update that is killed at random moments and run again until it says that it is done, and what is left of it.

A line on scikit-learn's digits has one version and an arrival that waits. Its update (LeNet-300-100, two workers, one
step per checkpoint, so that epochs are cut in two) is first run undisturbed. Then it is run on copies of the line, and
killed. Linux only: Ray's processes are looked for in /proc, by their environment.
"""

from __future__ import annotations

import json
import math
import random
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from drills.commands import Command
from raygp.data.ingest import IngestSettings, ingest
from raygp.data.sources import open_source
from raygp.store import Location, list_versions, read_head

VICTIMS = ("worker", "driver", "cluster")
TASK = {"name": "lenet-300-100"}
_PLAN = ["plan.batch_size=64", "plan.lr=0.05", "plan.epochs=10", "plan.arrival.share=1.0", "plan.replay.share=0.2"]
OPTIONS = [*_PLAN, "plan.distillation.weight=0.3", "synthesis.epochs=4", "gate_tolerance=0.5", "checkpoint_minutes=0"]
_ATTEMPTS = 5
_FIRST_CHECKPOINTS = (2, 16)
"""Before the first of several kills: it leaves the others something to kill, however fast the machine."""
_CHECKPOINTS = (1, 4)
"""Between two kills of one update."""


def make_line(root: Path) -> None:
    """One version, and an arrival that waits."""
    location = Location(str(root))
    digits = open_source("digits", image_size=28)
    settings = IngestSettings(["one", "two"], [0.6, 0.4], 0.2, 0.2)
    ingest(location, TASK, digits, settings)
    waiting = root.parent / "two"
    (root / "arrivals" / "two").rename(waiting)
    command = Command(root, root.parent / "synthesis.log", OPTIONS)
    code = command.wait()
    command.clean_up()
    if code:
        raise SystemExit(f"the first version could not be made, see {root.parent / 'synthesis.log'}")
    waiting.rename(root / "arrivals" / "two")


def finished_state(root: Path) -> dict[str, Any]:
    """What the line came to."""
    location = Location(str(root))
    head, cards = read_head(location), list_versions(location)
    return {
        "head": head.version if head else None,
        "arrivals": [card.arrivals for card in cards],
        "masks": cards[-1].mask_digest,
        # Values and masks of the compact model, by the hash in the card.
        "weights": [file.sha256 for file in cards[-1].files],
        "in_flight": location.list("updates"),
    }


class Moment:
    """When a kill is due: after so many seconds, or so many new checkpoints, whichever comes first."""

    def __init__(self, root: Path, seconds: float = math.inf, checkpoints: float = math.inf) -> None:
        self._root, self._seconds, self._checkpoints = root, seconds, checkpoints
        self._begun = time.monotonic()
        self._old = self._seen = self._names()

    def is_due(self) -> bool:
        """Whether it has come."""
        self._seen = self._seen | self._names()
        waited = time.monotonic() - self._begun
        return waited >= self._seconds or len(self._seen - self._old) >= self._checkpoints

    def __str__(self) -> str:
        limits = [f"{self._seconds:.1f} s"] * math.isfinite(self._seconds)
        limits += [f"{self._checkpoints} checkpoints"] * math.isfinite(self._checkpoints)
        return " or ".join(limits)

    def _names(self) -> set[str]:
        return {str(path) for path in self._root.glob("updates/*/checkpoint_*")}


def disturb(
    numbers: Sequence[int],
    seed: int,
    template: Path,
    reference: dict[str, Any],
    out: Path,
    options: Sequence[str] = OPTIONS,
    refuge: str = "",
) -> list[dict[str, Any]]:
    """The kills of one update, and what came of it.

    Args:
        numbers: of the kills; a number and the seed say who is killed, and when.
        seed: of the moments.
        template: a line with an arrival that waits, of which a copy is updated.
        reference: what an undisturbed update of the template came to (``state``), and how many ``seconds`` it took. If
            the seconds are infinite, every kill waits for a number of checkpoints.
        out: folder for the copy, and for what the commands say.
        options: of the update.
        refuge: address of a cluster that nobody kills, where the command is run again after the last kill. Without one
            it starts another of its own.
    """
    first = numbers[0]
    root, log = out / "lines" / str(first), out / "logs" / f"{first}.log"
    shutil.rmtree(root, ignore_errors=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    shutil.copytree(template, root)
    begun, rows, attempts = time.monotonic(), [], 1
    command = Command(root, log, options)
    try:
        for number in numbers:
            draw = random.Random(f"{seed}/{number}")
            if number != first:
                moment = Moment(root, checkpoints=draw.randint(*_CHECKPOINTS))
            elif len(numbers) == 1:
                moment = Moment(root, draw.uniform(0.15, 0.95) * reference["seconds"])
            else:
                seconds = draw.uniform(0.15, 0.6) * reference["seconds"]
                moment = Moment(root, seconds, draw.randint(*_FIRST_CHECKPOINTS))
            victim = VICTIMS[number % len(VICTIMS)]
            killed = kill_at(moment, victim, command)
            lines = re.findall(r"\d+/\d+ (\S+)\s+epoch (\S+)", log.read_text())
            where = " ".join(lines[-1]) if lines else "before the first epoch"
            rows.append({"number": number, "seed": seed, "victim": victim, "moment": str(moment), "phase": where,
                         "killed": killed})  # fmt: skip
            if killed and victim != "worker" and number != numbers[-1]:
                attempts += 1
                command.wait()
                command.clean_up()
                command = Command(root, log, options)
        code = command.wait()
        while code != 0 and attempts < len(numbers) + _ATTEMPTS:
            attempts += 1
            command.clean_up()
            command = Command(root, log, options, refuge)
            code = command.wait()
    finally:
        # However this ends, no process of the update goes on.
        command.process.kill()
        command.clean_up()
    state = finished_state(root)
    result = {
        "recovered": code == 0 and state["head"] == reference["state"]["head"] and not state["in_flight"],
        "once": state["arrivals"] == reference["state"]["arrivals"],
        "identical": (state["masks"], state["weights"]) == (reference["state"]["masks"], reference["state"]["weights"]),
        "attempts": attempts,
        "seconds_lost": round((time.monotonic() - begun - reference["seconds"]) / len(numbers), 1),
    }
    if result["recovered"] and result["once"] and result["identical"]:
        shutil.rmtree(root)
    return [row | result for row in rows]


def kill_at(moment: Moment, victim: str, command: Command) -> bool:
    """Wait for the moment and kill the victim; a worker is waited for if there is none yet. False: the command has
    ended by itself."""
    while not moment.is_due() and command.process.poll() is None:
        time.sleep(0.05)
    while command.process.poll() is None:
        if command.kill(victim):
            return True
        time.sleep(0.1)
    return False


def run_matrix(n: int, seed: int, out: Path, console: Console, per_update: int = 1) -> list[dict[str, Any]]:
    """All kills, as rows; those that ``out`` has are not repeated."""
    template, file = out / "template", out / "crashes.jsonl"
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "reference.json").exists():
        shutil.rmtree(template, ignore_errors=True)
        make_line(template)
        shutil.rmtree(out / "undisturbed", ignore_errors=True)
        shutil.copytree(template, out / "undisturbed")
        command = Command(out / "undisturbed", out / "undisturbed.log", OPTIONS)
        code, seconds = command.wait(), time.monotonic() - command.started
        command.clean_up()
        if code:
            raise SystemExit(f"the undisturbed update failed, see {out / 'undisturbed.log'}")
        state = {"seconds": seconds, "state": finished_state(out / "undisturbed")}
        (out / "reference.json").write_text(json.dumps(state))
    reference = json.loads((out / "reference.json").read_text())
    console.print(f"undisturbed: {reference['seconds']:.0f} s")
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    done = {(row["seed"], row["number"]) for row in rows}
    for first in range(0, n, per_update):
        numbers = range(first, min(n, first + per_update))
        if (seed, first) not in done:
            found = disturb(numbers, seed, template, reference, out)
            with file.open("a") as handle:
                handle.writelines(json.dumps(row) + "\n" for row in found)
            rows += found
            for row in found:
                console.print(f"[{row['number'] + 1}/{n}] {row}", soft_wrap=True)
    return [row for row in rows if row["seed"] == seed and row["number"] < n]


def is_loss(row: dict[str, Any]) -> bool:
    """Whether anything was lost or differs."""
    return not (row["recovered"] and row["once"] and row["identical"])
