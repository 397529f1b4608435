"""A stretch of an update on real digits, run by a group of gloo ranks as Ray Train's workers run it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from sklearn.datasets import load_digits

from raygp.data.batches import Batch
from raygp.data.resident import Examples, ResidentData
from raygp.events import Event
from raygp.tasks import make_task
from raygp.update.candidate import make_learner
from raygp.update.checkpoints import load, save_checkpoint
from raygp.update.engine import Update
from raygp.update.fitting import Sizes
from raygp.update.ladder import Ladder
from raygp.update.observer import Silent
from raygp.update.outcome import Outcome
from raygp.update.plan import Plan
from raygp.update.rungs import rungs_of
from raygp.update.state import Checkpoint
from tests.ranks import run_group

PLAN = Plan.model_validate(
    {
        "phases": [
            {"kind": "grow-all", "epochs": 2},
            {"kind": "prune-permanent", "epochs": 2, "gradual": True},
        ],
        "batch_size": 16,
        "lr": 0.02,
        "replay": {"share": 1.0},
        "arrival": {"share": 1.0},
    }
)


class Enough(Exception):
    """The stretch is over."""


@dataclass
class Watched(ResidentData):
    """Notes which examples this rank trained on."""

    seen: list[tuple[int, int, np.ndarray]] = field(default_factory=list)
    """Seed of the epoch, step, ids."""

    def epoch(
        self, ids: np.ndarray, batch_size: int, seed: int, rank: int, world_size: int, first_step: int = 0
    ) -> Iterator[Batch]:
        for batch in super().epoch(ids, batch_size, seed, rank, world_size, first_step):
            self.seen.append((seed, batch.step, batch.ids))
            yield batch


@dataclass
class Stretch:
    """What one rank did."""

    seen: list[tuple[int, int, np.ndarray]]
    outcome: Outcome | None
    """None if it stopped at a checkpoint."""
    checkpoints: int = 0


class Watcher:
    """Stops after so many checkpoints, keeps the last; or says from some step on that the workers are leaving."""

    def __init__(self, folder: Path | None, stop_after: int | None, leave: bool) -> None:
        self.folder, self.stop_after, self.leave = folder, stop_after, leave
        self.count, self.asked = 0, 0

    def event(self, event: Event) -> None:
        pass

    def checkpoint(self, make: Callable[[], Checkpoint]) -> None:
        checkpoint = make()
        self.count += 1
        if self.count == self.stop_after or self.asked:
            if self.folder:
                save_checkpoint(self.folder, checkpoint)
            raise Enough

    def leaving(self) -> bool:
        self.asked += self.leave
        return self.leave


def digits() -> Watched:
    """150 digits at 28 x 28, 90 of an arrival before; 40 for validation."""
    bundled = load_digits()
    images = np.pad(np.kron(bundled.images, np.ones((3, 3))) * 15, ((0, 0), (2, 2), (2, 2))).astype(np.uint8)
    inputs, targets = torch.from_numpy(images)[:, None], torch.from_numpy(bundled.target)
    return Watched(Examples(inputs[:150], targets[:150]), 90, {"val": Examples(inputs[150:190], targets[150:190])})


def stretch(
    plan: Plan, start: Path | None, stop: Path | None, stop_after: int | None, every_s: float = 0.0, leave: bool = False
) -> Stretch:
    """Run ``plan`` from the checkpoint in ``start`` to its end, or to the ``stop_after``-th checkpoint, kept in
    ``stop``."""
    data = digits()
    learner = make_learner(make_task({"name": "lenet-300-100"}), data, plan, num_classes=10, seed=5, parent=None)
    watcher = Watcher(stop if learner.rank == 0 else None, stop_after, leave)
    update = Update(
        plan, learner, data, seed=5, has_parent=False, gate_tolerance=1.0, observer=watcher, checkpoint_seconds=every_s
    )
    if start is not None:
        found = load(start)
        assert isinstance(found, Checkpoint)
        update.resume(found)
    try:
        return Stretch(data.seen, update.run(), watcher.count)
    except Enough:
        return Stretch(data.seen, None, watcher.count)


def climb(plan: Plan, parent: Path) -> Outcome:
    """All rungs of ``plan`` over the outcome kept in ``parent``, which knew the digits of the arrival before."""
    data, task = digits(), make_task({"name": "lenet-300-100"})
    known = load(parent)
    assert isinstance(known, Outcome)

    def make(rung: Plan, may_give_up: bool) -> Update:
        learner = make_learner(task, data, rung, num_classes=10, seed=5, parent=known.tensors)
        return Update(rung, learner, data, seed=5, has_parent=True, may_give_up=may_give_up)

    sizes = Sizes(data.old_rows, data.new_rows, 10)
    return Ladder(lambda look: rungs_of(plan, sizes.seen(look), ladder=True), make, Silent()).run()


def new_five() -> Watched:
    """Digits 0 to 4 of an arrival before, 5 to 9 of the one that is new; both for validation too."""
    whole = digits()
    every = [*range(150)], [*range(150, 190)]
    targets = torch.cat([whole.train.targets, whole.held_out["val"].targets])  # type: ignore[list-item]
    inputs = torch.cat([whole.train.inputs, whole.held_out["val"].inputs])  # type: ignore[list-item]
    examples = Examples(inputs, targets)
    train, val = (np.array(sorted(rows, key=lambda row: bool(targets[row] >= 5))) for rows in every)
    old, kept = (int((targets[rows] < 5).sum()) for rows in (train, val))
    groups = {"val": {"low": slice(0, kept), "high": slice(kept, len(val))}}
    return Watched(examples.take(train), old, {"val": examples.take(val)}, groups)  # type: ignore[arg-type]


def knows_five() -> Outcome:
    """A first version of digits 0 to 4."""
    data = new_five()
    kept = data.groups("val")["low"].stop
    first = ResidentData(
        data.train.take(np.arange(data.old_rows)), 0, {"val": data.held_out["val"].take(np.arange(kept))}
    )
    phase = {"kind": "prune-permanent", "gradual": True, "epochs": 12}
    plan = Plan.model_validate({"phases": [phase], "batch_size": 16, "lr": 0.05})
    learner = make_learner(make_task({"name": "lenet-300-100"}), first, plan, num_classes=5, seed=5, parent=None)
    return Update(plan, learner, first, seed=5, has_parent=False).run()


def update_of_new_classes(plan: Plan, parent: Path) -> Outcome:
    """``plan`` over the outcome kept in ``parent``, which knew digits 0 to 4; the others are new."""
    data, known = new_five(), load(parent)
    assert isinstance(known, Outcome)
    task = make_task({"name": "lenet-300-100"})
    learner = make_learner(task, data, plan, num_classes=10, seed=5, parent=known.tensors, parent_classes=5)
    classes = [str(number) for number in range(10)]
    return Update(plan, learner, data, seed=5, has_parent=True, parent_classes=5, classes=classes).run()


def run_ranks(world: int, folder: Path, *arguments: object, work: Callable[..., object] = stretch) -> list[Any]:
    """:func:`stretch`, or other ``work``, on ``world`` ranks; what each gave, by rank."""
    folder.mkdir()
    run_group(_work, world, world, str(folder), work, arguments)
    return [torch.load(folder / f"rank-{i}.pt", weights_only=False) for i in range(world)]


def _work(number: int, world: int, folder: str, work: Callable[..., object], arguments: tuple[object, ...]) -> None:
    torch.set_num_threads(1)
    timeout = timedelta(seconds=60)
    dist.init_process_group("gloo", f"file://{folder}/meet", timeout=timeout, rank=number, world_size=world)
    torch.save(work(*arguments), f"{folder}/rank-{number}.pt")
    dist.barrier()  # No rank hangs up while another is still in a reduction.
    dist.destroy_process_group()
