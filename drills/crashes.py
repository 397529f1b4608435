"""Kills an update at random moments and looks at what is left.

    python benchmarks/crash_matrix.py [--n 50] [--per-update 1] [--seed S] [--out DIR]

A line on scikit-learn's digits has one version and an arrival that waits. Its update (LeNet-300-100, two workers, one
step per checkpoint, so that epochs are cut in two) is first run undisturbed. Then, n times on a copy of the line, it is
started and after a seeded random part of the undisturbed time a victim is killed with -9: a training worker, the
driver, or the cluster (raylet and GCS). The same command is run until it says that it is done. With ``--per-update 5``,
an update meets five of the kills before it may end: the first at its random moment or after a seeded number of
checkpoints, whichever comes first, the others a seeded number of checkpoints after it has gone on; what it came to
counts for all five. Counted as losses: an arrival that is not folded in exactly once, a head that is not the version,
masks or weights that differ by a bit from the undisturbed run's, anything left in flight. One line of
``DIR/crashes.jsonl`` a kill; what is there is not repeated. Exit status 1 on any loss. Linux only: it looks for Ray's
processes in /proc, by their environment.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.table import Table

from raygp.data.ingest import IngestSettings, ingest
from raygp.data.sources import open_source
from raygp.store import Location, list_versions, read_head
from drills.checkout import PROJECT

VICTIMS = ("worker", "driver", "cluster")
TASK = {"name": "lenet-300-100"}
_PLAN = ["plan.batch_size=64", "plan.lr=0.05", "plan.epochs=10", "plan.arrival.share=1.0", "plan.replay.share=0.2"]
_OPTIONS = [*_PLAN, "plan.distillation.weight=0.3", "synthesis.epochs=4", "gate_tolerance=0.5", "checkpoint_minutes=0"]
_ATTEMPTS = 5
_PATIENCE_S = 300.0
_FIRST_CHECKPOINTS = (2, 16)
"""Before the first of several kills: it leaves the others something to kill, however fast the machine."""
_CHECKPOINTS = (1, 4)
"""Between two kills of one update."""


class Command:
    """``raygp update`` of a line as a process, with a Ray cluster of its own."""

    def __init__(self, root: Path, log: Path, options: Sequence[str] = tuple(_OPTIONS)) -> None:
        # Ray's sockets want a short path.
        self.scratch = tempfile.mkdtemp(prefix="rgp-", dir="/tmp")
        self.log, self.started = log, time.monotonic()
        environment = {**os.environ, "RAY_TMPDIR": self.scratch, "PYTHONPATH": str(PROJECT)}
        # A driver gives its cluster up after so long; the default is a minute.
        environment["RAY_gcs_rpc_server_reconnect_timeout_s"] = "10"
        environment.pop("RAY_ADDRESS", None)
        with log.open("a") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "raygp", "update", "--root", str(root), *options],
                env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def wait(self, patience: float = _PATIENCE_S) -> int:
        """The exit code; that of SIGKILL if it had to be killed."""
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def ray_processes(self, name: str = "") -> list[int]:
        """Ids of the processes of this command's cluster whose command line contains ``name``."""
        mark, found = f"RAY_TMPDIR={self.scratch}".encode(), []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                mine = mark in (folder / "environ").read_bytes().split(b"\0") and int(folder.name) != self.process.pid
                if mine and name.encode() in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
        return found

    def kill(self, victim: str) -> bool:
        """Kill it with -9; False if there is none (yet, or any more)."""
        if victim == "driver":
            self.process.kill()
            return True
        if victim == "worker":
            targets = self.ray_processes("RayTrainWorker")[:1]
        else:
            targets = self.ray_processes("raylet/raylet") + self.ray_processes("gcs_server")
        for target in targets:
            _kill(target)
        return bool(targets)

    def clean_up(self) -> None:
        """End what is left of the cluster."""
        for process in self.ray_processes():
            _kill(process)
        shutil.rmtree(self.scratch, ignore_errors=True)


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def make_line(root: Path) -> None:
    """One version, and an arrival that waits."""
    location = Location(str(root))
    digits = open_source("digits", image_size=28)
    settings = IngestSettings(["one", "two"], [0.6, 0.4], 0.2, 0.2)
    ingest(location, TASK, digits, settings)
    waiting = root.parent / "two"
    (root / "arrivals" / "two").rename(waiting)
    command = Command(root, root.parent / "synthesis.log")
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
    numbers: Sequence[int], seed: int, template: Path, reference: dict[str, Any], out: Path
) -> list[dict[str, Any]]:
    """The kills of one update, and what came of it."""
    first = numbers[0]
    root, log = out / "lines" / str(first), out / "logs" / f"{first}.log"
    shutil.rmtree(root, ignore_errors=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    shutil.copytree(template, root)
    begun, rows, attempts = time.monotonic(), [], 1
    command = Command(root, log)
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
            command = Command(root, log)
    code = command.wait()
    command.clean_up()
    while code != 0 and attempts < len(numbers) + _ATTEMPTS:
        attempts += 1
        command = Command(root, log)
        code = command.wait()
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
        command = Command(out / "undisturbed", out / "undisturbed.log")
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


def table_of(rows: list[dict[str, Any]]) -> Table:
    """A line a kill."""
    table = Table()
    for name in ("moment", "victim", "phase", "killed", "recovered", "folded once", "identical", "runs", "s lost"):
        table.add_column(name)
    for row in rows:
        flags = ["yes" if row[key] else "NO" for key in ("killed", "recovered", "once", "identical")]
        table.add_row(
            row["moment"], row["victim"], row["phase"], *flags, str(row["attempts"]), f"{row['seconds_lost']}"
        )
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=50)
    parser.add_argument("--per-update", type=int, default=1, help="kills that one update meets")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="runs/crashes", metavar="DIR")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 160)
    rows = run_matrix(options.n, options.seed, Path(options.out).resolve(), console, options.per_update)
    console.print(table_of(rows))
    losses = sum(map(is_loss, rows))
    console.print(f"{len(rows)} kills, {losses} with a loss or a difference")
    return 1 if losses else 0


if __name__ == "__main__":
    sys.exit(main())
