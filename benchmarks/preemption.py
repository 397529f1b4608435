"""Takes nodes away from a running update and looks at what that costs.

    python benchmarks/preemption.py [--n 3] [--seed S] [--every 5] [--notice 15] [--workers 2] [--out DIR]

A cluster on this machine: a head node and two that training can lose. An update (LeNet-300-100 on scikit-learn's
digits) is run undisturbed; then again on a line like it, where n times, after a seeded random part of ``--every`` to
twice as many seconds of training, a node that trains is called back: it is drained as spot machines are, its
replacement joins, and when the notice is over it is killed with -9. That is no failure: the update is allowed none.
``--notice 0`` kills at once. Printed for each loss: moment, phase, seconds until training went on, and examples that
were trained on again. Examples are seen through the update's progress, which comes every half second: so much training
is the error of a loss.

One line of ``DIR/runs.jsonl`` a run; what is there is not repeated. Exit status 1 if a run was not finished, or its
model differs from the undisturbed one's: by a bit, or with a range of workers (``--workers 1..2``) by more than four
validation examples in a hundred. Linux only.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.table import Table

from drills.checkout import PROJECT
from drills.heads import Head, Node, head_node
from raygp.cluster.runner import RayRunner
from raygp.data.ingest import IngestSettings, ingest
from raygp.data.sources import open_source
from raygp.events import Event, StepsDone
from raygp.line import Line
from raygp.settings import Workers, load_settings
from raygp.store import Location, list_versions, read_head

TASK = "lenet-300-100"
BATCH = 2
"""Small, so that an epoch has hundreds of steps and takes seconds."""
_NOISE = 0.04
_PAUSE_S = 5.0
"""Progress comes every half second; starting workers anew takes longer than this."""
_PATIENCE_S = 400.0


@dataclass(frozen=True)
class Place:
    """Where training stood at a moment."""

    at: float
    """Seconds of the clock that all processes share."""
    phase: int
    kind: str
    epoch: int
    step: int
    steps: int

    def examples(self, epochs: dict[tuple[int, int], int]) -> int:
        """Trained on up to here, each once; ``epochs``: steps of those before."""
        before = sum(steps for place, steps in epochs.items() if place < (self.phase, self.epoch))
        return (before + self.step) * BATCH


def run_update(root: Path, log: Path, options: list[str]) -> None:
    """Fold what waits into the line, on the cluster of ``RAY_ADDRESS``; ``log`` gets a line of JSON for each place."""
    with log.open("a", buffering=1) as out:

        def show(event: Event) -> None:
            if isinstance(event, StepsDone):
                place = Place(time.time(), event.phase, event.kind, event.epoch, event.step, event.steps)
                out.write(json.dumps(vars(place)) + "\n")

        line = Line(str(root))
        line.listen(show)
        line.update(load_settings(TASK, overrides=options), runner=RayRunner())


def places_in(log: Path) -> list[Place]:
    """All that it has so far."""
    lines = log.read_text().splitlines(keepends=True) if log.exists() else []
    return [Place(**json.loads(line)) for line in lines if line.endswith("\n")]


class Drill:
    """Nodes that come and go under one update."""

    def __init__(self, head: Head, root: Path, options: list[str]) -> None:
        self.head, self.log = head, root.parent / f"{root.name}.places.jsonl"
        self.nodes = [head.join(), head.join()]
        self.log.unlink(missing_ok=True)
        command = [sys.executable, __file__, "--update", str(root), "--log", str(self.log), *options]
        environment = {**head.environment, "RAY_ADDRESS": head.gcs}
        with root.parent.joinpath(f"{root.name}.log").open("w") as out:
            self.process = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
        self.begun = time.time()

    def wait_for(self, found: Callable[[], bool]) -> bool:
        """Until ``found``; False if the update was over before."""
        deadline = time.monotonic() + _PATIENCE_S
        while self.process.poll() is None and time.monotonic() < deadline:
            if found():
                return True
            time.sleep(0.1)
        return False

    def training(self) -> Node | None:
        """A node that trains, and can be taken away."""
        used = set(self.head.training())
        return next((node for node in self.nodes if node.name in used), None)

    def take_one_away(self, notice_s: int) -> dict[str, Any] | None:
        """Call a node back, and wait until training goes on; None if the update was over before."""
        found: list[Node] = []

        def look() -> bool:
            found[:] = [node] if (node := self.training()) else []
            return bool(found)

        if not self.wait_for(look):
            return None
        node = found[0]
        told = time.time()
        if notice_s:
            self.head.drain(node, notice_s)
        killer = threading.Timer(max(0.0, told + notice_s - time.time()), node.kill)
        killer.start()
        self.nodes.remove(node)
        self.nodes.append(self.head.join())
        killer.join()
        self.wait_for(lambda: self._resumed(told) is not None)
        number = self._resumed(told)
        if number is None:
            return None
        places = places_in(self.log)
        before, after = places[number - 1], places[number]
        epochs = {(place.phase, place.epoch): place.steps for place in places[:number]}
        furthest = max(place.examples(epochs) for place in places[:number])
        return {
            "moment": round(told - self.begun, 1), "phase": f"{before.kind}, epoch {before.epoch + 1}",
            "notice": notice_s, "seconds_lost": round(after.at - before.at, 1),
            "examples_lost": max(0, furthest - after.examples(epochs)),
        }  # fmt: skip

    def _resumed(self, since: float) -> int | None:
        """Number of the first place after the pause that began after ``since``."""
        places = places_in(self.log)
        for number in range(1, len(places)):
            if places[number].at > since and places[number].at - places[number - 1].at > _PAUSE_S:
                return number
        return None

    def finish(self) -> int:
        """The exit code."""
        try:
            return self.process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def finished_state(root: Path) -> dict[str, Any]:
    """What the line came to; nothing if its update did not promote."""
    location = Location(str(root))
    head, cards = read_head(location), list_versions(location)
    if head is None or head.version != cards[-1].version:
        return {}
    card = cards[-1]
    return {
        # Values and masks of the compact model, by the hash in the card.
        "files": [file.sha256 for file in card.files], "accuracy": card.val_accuracy,
        "examples": card.ledger.examples, "in_flight": location.list("updates"),
    }  # fmt: skip


def make_line(root: Path) -> None:
    """A line whose first arrival waits."""
    digits = open_source("digits", image_size=28)
    ingest(Location(str(root)), {"name": TASK}, digits, IngestSettings(["one"], [1.0], 0.2, 0.2))


def options_of(seed: int, workers: Workers, epochs: int, failures: int) -> list[str]:
    """Settings of the update, which may fail so often."""
    plan = [f"synthesis.batch_size={BATCH}", "synthesis.lr=0.01", f"synthesis.epochs={epochs}"]
    return [*plan, f"seed={seed}", f"workers={workers.spelled}", f"max_failures={failures}"]


def drill(number: int, every: float, notice_s: int, root: Path, options: list[str], seed: int) -> dict[str, Any]:
    """An update that loses a node so many times, and what it came to."""
    draw = random.Random(seed)
    losses: list[dict[str, Any]] = []
    with head_node(cpus=1, PYTHONPATH=str(PROJECT), RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0") as head:
        run = Drill(head, root, options)
        for _ in range(number):
            if not run.wait_for(lambda: bool(places_in(run.log))):
                break
            # Since training went on, if it has been interrupted.
            begun, moment = time.time(), draw.uniform(every, 2 * every)
            run.wait_for(lambda begun=begun, moment=moment: time.time() - begun > moment)  # type: ignore[misc]
            loss = run.take_one_away(notice_s)
            if loss is None:
                break
            losses.append(loss)
        code = run.finish()
        return {"code": code, "seconds": round(time.time() - run.begun, 1), "losses": losses, **finished_state(root)}


def run_drill(
    number: int, seed: int, every: float, notice_s: int, workers: Workers, epochs: int, out: Path, console: Console
) -> dict[str, Any]:
    """The undisturbed update and the disturbed one, as the row of the latter; what ``out`` has is not repeated."""
    out.mkdir(parents=True, exist_ok=True)
    file = out / "runs.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    # A node that is called back in time is no failure.
    options = options_of(seed, workers, epochs, 0 if notice_s else number)
    found: dict[int, dict[str, Any]] = {}
    for losses in (0, number):
        key = {"options": options, "removed": losses} | ({"every": every, "notice": notice_s} if losses else {})
        row = next((row for row in rows if all(row.get(name) == value for name, value in key.items())), None)
        if row is None:
            root = out / f"seed-{seed}-{losses}"
            shutil.rmtree(root, ignore_errors=True)
            make_line(root)
            console.print(f"{losses or 'no'} losses ...")
            row = key | drill(losses, every, notice_s, root, options, seed)
            with file.open("a") as handle:
                handle.write(json.dumps(row) + "\n")
        found[losses] = row
    return compare(found[0], found[number], workers)


def compare(calm: dict[str, Any], row: dict[str, Any], workers: Workers) -> dict[str, Any]:
    """``row`` with what its losses cost against ``calm``, and whether its result is the same."""
    finished = all(run["code"] == 0 and run.get("files") and not run["in_flight"] for run in (calm, row))
    if not finished:
        return row | {"finished": False, "same": False}
    spent = row["examples"] + sum(loss["examples_lost"] for loss in row["losses"])
    near = abs(row["accuracy"] - calm["accuracy"]) <= _NOISE
    return row | {
        "finished": len(row["losses"]) == row["removed"], "spent": spent, "more": spent / calm["examples"] - 1,
        "same": near if workers.elastic else row["files"] == calm["files"], "calm_seconds": calm["seconds"],
        "calm_accuracy": calm["accuracy"],
    }  # fmt: skip


def table_of(row: dict[str, Any]) -> Table:
    """A line a loss."""
    table = Table()
    for name in ("moment s", "phase", "notice s", "s lost", "examples lost"):
        table.add_column(name, justify="left" if name == "phase" else "right")
    for loss in row["losses"]:
        table.add_row(*(str(loss[key]) for key in ("moment", "phase", "notice", "seconds_lost", "examples_lost")))
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=float, default=5.0, metavar="SECONDS")
    parser.add_argument("--notice", type=int, default=15, metavar="SECONDS")
    parser.add_argument("--workers", type=Workers.parse, default=Workers(2, 2))
    parser.add_argument("--epochs", type=int, default=20, help="of the update")
    parser.add_argument("--out", default="runs/preemption", metavar="DIR")
    parser.add_argument("--update", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--log", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("settings", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.update:
        run_update(options.update, options.log, options.settings)
        return 0
    console = Console(width=None if sys.stdout.isatty() else 160)
    row = run_drill(
        options.n, options.seed, options.every, options.notice, options.workers, options.epochs,
        Path(options.out).resolve(), console,
    )  # fmt: skip
    console.print(table_of(row))
    if row["finished"]:
        console.print(
            f"{row['spent']:,.0f} examples, {row['more']:+.1%} against an undisturbed update; {row['seconds']:.0f} s "
            f"against {row['calm_seconds']:.0f}; validation {row['accuracy']:.2%} against {row['calm_accuracy']:.2%}"
        )
    for flag in ("finished", "same"):
        console.print(f"{flag}: {'yes' if row[flag] else 'NO'}")
    return 0 if row["finished"] and row["same"] else 1


if __name__ == "__main__":
    sys.exit(main())
