"""The same run as two Ray Train workers on a model line in a folder: what ``--ray`` does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.cost.methods import Method
from benchmarks.cost.runs import Key, Row, cost_of, make_row, quality_of, run_name
from benchmarks.cost.workloads import Workload
from raygp.cluster.runner import RayRunner
from raygp.drift.settings import DriftSettings
from raygp.events import EpochEnded, Event, UpdateStarted
from raygp.line import Line
from raygp.settings import RunSettings
from raygp.store import ArrivalWriter, Location, create_line, list_arrivals


def run_with_ray(
    workload: Workload,
    method: Method,
    key: Key,
    folder: Path,
    watch: Callable[[str, Event], None],
    workers: int = 2,
    local: bool = False,
) -> Row:
    """Publish old and new data as arrivals of a line under ``folder``, bring the line up to date, and measure.

    ``worker_seconds`` are workers x seconds; ``cpu_seconds`` are not known of other processes and equal them. With
    ``local`` one worker trains in this process, on what Ray has decoded.
    """
    rows = workload.split(key.new_share if method.incremental else 0.5, key.seed)
    location = Location(str(folder.resolve() / f"{key.workload}-{run_name(key, method)}"))
    if not list_arrivals(location):
        create_line(location, workload.task.spec.model_dump(mode="json"))
        parts = {"old": rows.old, "new": rows.new}
        if not method.incremental:
            parts = {"all": np.sort(np.concatenate([rows.old, rows.new]))}
        _publish(workload, location, parts, rows.val)
    settings = RunSettings(
        synthesis=method.parent or method.plan,
        plan=method.plan,
        gate_tolerance=1.0,
        workers=workers,
        seed=key.seed,
        # A look at the arrival is no part of a method, and the way without Ray has none.
        on_drift=DriftSettings(then="off"),
    )
    points: list[dict[str, float]] = []

    def follow(event: Event) -> None:
        if isinstance(event, UpdateStarted):
            points.clear()
        if isinstance(event, EpochEnded):
            spent = cost_of(event)
            points.append({**spent, "cpu_seconds": spent["worker_seconds"], **quality_of(event)})
        watch(method.name, event)

    line = Line(location)
    line.listen(follow)
    card = line.update(settings, runner=RayRunner(local=local))[-1].card
    train_rows = len(rows.old) + len(rows.new)
    return make_row(key, method, card, points, card.ledger.worker_seconds, train_rows, "cpu")


def _publish(workload: Workload, location: Location, parts: dict[str, np.ndarray], val: np.ndarray) -> None:
    """Arrivals with the training rows of ``parts``; the first brings validation and test as well."""
    train_rows = len(workload.train)
    for number, (name, rows) in enumerate(parts.items()):
        chosen = [("train", row) for row in rows]
        if number == 0:
            chosen += [("val", row) for row in val]
            chosen += [("test", train_rows + row) for row in range(len(workload.test))]
        with ArrivalWriter(location, name, workload.name) as writer:
            for split, row in chosen:
                sample = workload.samples[int(row)]
                writer.add(split, sample.load(), sample.label, sample.key)
            writer.finish()
            writer.publish()
