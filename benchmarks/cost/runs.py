"""One run of one method: trained in this process, resumable at every finished epoch, one JSON row."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from pydantic_core import to_json

from benchmarks.cost.methods import Method
from benchmarks.cost.narrow import narrowed
from benchmarks.cost.workloads import Workload
from raygp.errors import InputError
from raygp.events import EpochEnded, Event
from raygp.record import UpdateRecord
from raygp.update.candidate import make_learner
from raygp.update.checkpoints import load, save_checkpoint, save_outcome
from raygp.update.engine import Update
from raygp.update.fitting import Sizes
from raygp.update.outcome import Outcome
from raygp.update.plan import Plan
from raygp.update.state import Checkpoint, Tensors

Row = dict[str, Any]
_NOTHING = np.array([], dtype=np.int64)
_COMMON_TO_PHASES = ("epochs", "lr", "schedule", "warmup", "patience")


@dataclass(frozen=True)
class Key:
    """What a run is of."""

    workload: str
    method: str
    new_share: float
    """1.0 for methods that start from scratch: all data are new to them."""
    seed: int


class Curve:
    """Watches an update: keeps accuracy against cost, and a checkpoint of both that a killed run goes on from."""

    def __init__(self, folder: Path, watch: Callable[[Event], None] | None = None) -> None:
        self._folder, self._watch = folder, watch
        self.points: list[dict[str, float]] = []
        self._cpu_before, self._cpu_start = 0.0, time.process_time()

    def resume(self) -> Checkpoint | None:
        """The last checkpoint, if there is one."""
        if not (self._folder / "curve.json").exists():
            return None
        kept = json.loads((self._folder / "curve.json").read_text())
        checkpoint = load(self._folder / kept["checkpoint"])
        assert isinstance(checkpoint, Checkpoint)
        self.points, self._cpu_before = kept["points"], kept["cpu_seconds"]
        return checkpoint

    @property
    def cpu_seconds(self) -> float:
        """Processor seconds of this process in the run, earlier attempts included."""
        return self._cpu_before + time.process_time() - self._cpu_start

    def event(self, event: Event) -> None:
        """Keep the end of an epoch."""
        if isinstance(event, EpochEnded):
            self.points.append({**cost_of(event), "cpu_seconds": self.cpu_seconds, **quality_of(event)})
        if self._watch:
            self._watch(event)

    def checkpoint(self, make: Callable[[], Checkpoint]) -> None:
        """Write the finished epoch; ``curve.json`` is replaced last and names the checkpoint that counts."""
        name = f"epoch-{len(self.points) % 2}"
        (self._folder / name).mkdir(parents=True, exist_ok=True)
        save_checkpoint(self._folder / name, make())
        kept = {"checkpoint": name, "points": self.points, "cpu_seconds": self.cpu_seconds}
        part = self._folder / "curve.json.part"
        part.write_text(json.dumps(kept))
        part.replace(self._folder / "curve.json")

    def leaving(self) -> bool:
        """No."""
        return False


def cost_of(event: EpochEnded) -> dict[str, float]:
    """What an update had spent at the end of an epoch."""
    spent = event.ledger
    return {
        "examples": spent.examples, "sparse_flops": spent.sparse_flops, "worker_seconds": spent.worker_seconds,
    }  # fmt: skip


def quality_of(event: EpochEnded) -> dict[str, float]:
    """How good and how dense the model was at the end of an epoch."""
    return {"val_accuracy": event.record.val_accuracy, "density": event.density}


def run_method(
    workload: Workload,
    method: Method,
    key: Key,
    folder: Path,
    device: str = "cpu",
    watch: Callable[[str, Event], None] = lambda what, event: None,
) -> Row:
    """Train and measure.

    Args:
        workload: the data.
        method: the plans.
        key: share and seed.
        folder: of runs in flight and of parents, which several methods and attempts share.
        device: where to train.
        watch: called with what is trained ("parent" or the method's name) and what happens there.

    Raises:
        InputError: the device is a GPU and torch sees none.
    """
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"--device {device}: torch sees no GPU here; leave it out to train on the CPU")
    workload = narrowed(workload, method.narrow)
    rows = workload.split(key.new_share if method.incremental else 0.5, key.seed)
    everything = np.sort(np.concatenate([rows.old, rows.new]))
    parent: Tensors | None = None
    if method.parent is not None:
        parent = _parent(workload, method, rows.old, rows.val, key, folder, device, watch)
        data = workload.data(rows.old, rows.new, rows.val)
    else:
        data = workload.data(_NOTHING, everything, rows.val)
    # A folder may serve several workloads.
    home = folder / "in-flight" / f"{key.workload}-{run_name(key, method)}"
    curve = Curve(home, lambda event: watch(method.name, event))
    outcome = train(workload, method.plan, data, key.seed, parent, curve, device)
    return make_row(key, method, outcome.record, curve.points, curve.cpu_seconds, len(everything), device)


def run_name(key: Key, method: Method) -> str:
    """Of the folder of a run: another recipe is another run."""
    plans = [plan for plan in (method.plan, method.parent) if plan is not None]
    return "-".join([key.method, f"{key.new_share}", f"{key.seed}", *map(_digest, plans)])


def make_row(
    key: Key,
    method: Method,
    record: UpdateRecord,
    points: list[dict[str, float]],
    cpu_seconds: float,
    train_rows: int,
    device: str,
) -> Row:
    """The JSON row of a finished run. ``reached`` and the cost until then need the reference: see ``protocol``."""
    return {
        "workload": key.workload, "method": key.method, "new_share": key.new_share, "seed": key.seed,
        "examples": record.ledger.examples, "sparse_flops": record.ledger.sparse_flops,
        "worker_seconds": record.ledger.worker_seconds, "cpu_seconds": cpu_seconds,
        "val_accuracy": record.val_accuracy, "test_accuracy": record.test_accuracy,
        "parent_val_accuracy": record.parent_val_accuracy,
        "active_connections": record.active_connections, "total_connections": record.total_connections,
        "train_rows": train_rows, "device": device, "processor": _processor(device),
        "precision": method.plan.precision, "narrow": method.narrow,
        "plan": method.plan.model_dump(mode="json"),
        "parent_plan": None if method.parent is None else method.parent.model_dump(mode="json"), "curve": points,
    }  # fmt: skip


def is_of(row: Row, method: Method) -> bool:
    """Whether a row was made with this method's plans, fields that have been added to plans since at their defaults."""
    if row.get("narrow") != method.narrow:
        return False
    try:
        same = Plan.model_validate(row["plan"]) == method.plan
        parent = row.get("parent_plan")
        return same and (parent is None or Plan.model_validate(parent) == method.parent)
    except ValidationError:
        return False


def _parent(
    workload: Workload,
    method: Method,
    old: np.ndarray,
    val: np.ndarray,
    key: Key,
    folder: Path,
    device: str,
    watch: Callable[[str, Event], None],
) -> Tensors:
    """A model of the old data, trained once for all that start from it."""
    plan = method.parent
    assert plan is not None
    size = f"-{method.narrow}" if method.narrow else ""
    home = folder / "parents" / f"{key.workload}-{key.new_share}-{key.seed}-{_digest(plan)}{size}"
    if not (home / "done").exists():
        curve = Curve(home / "in-flight", lambda event: watch("parent", event))
        outcome = train(workload, plan, workload.data(_NOTHING, old, val), key.seed, None, curve, device)
        home.mkdir(parents=True, exist_ok=True)
        save_outcome(home, outcome)
        (home / "done").touch()
    outcome = load(home)
    assert isinstance(outcome, Outcome)
    return outcome.tensors


def train(
    workload: Workload, plan: Plan, data: Any, seed: int, parent: Tensors | None, curve: Curve, device: str
) -> Outcome:
    """One plan carried out from ``parent`` (or from random weights), going on from the curve's checkpoint."""
    classes = len(workload.classes)
    if parent is not None:
        plan = plan.fitted(Sizes(data.old_rows, data.new_rows))
    learner = make_learner(
        workload.task, data, plan, num_classes=classes, seed=seed, parent=parent, parent_classes=classes, device=device
    )
    # The gate lets everything through: whether a run is good enough is for the table to say.
    update = Update(plan, learner, data, seed=seed, has_parent=parent is not None, gate_tolerance=1.0, observer=curve)
    checkpoint = curve.resume()
    if checkpoint is not None:
        update.resume(checkpoint)
    return update.run()


def _processor(device: str) -> str:
    """What seconds depend on: the GPU's name, or the widest instructions that torch uses on this processor."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    # bfloat16 is about twice as fast with tiles.
    tiles = ", AMX" if torch.cpu.get_capabilities().get("amx_bf16") else ""
    return torch.backends.cpu.get_cpu_capability() + tiles


def _digest(plan: Plan) -> str:
    """Of a plan, for names of folders. raygp 0.1.0 gave it the same, so its runs and parents are found again."""
    fields = plan.identity()
    # That version wrote what all phases have in common before the kind.
    fields["phases"] = [{key: phase[key] for key in _COMMON_TO_PHASES} | phase for phase in fields["phases"]]
    return hashlib.sha256(to_json(fields)).hexdigest()[:8]
