"""Lines with a past, written as documents and weights without any training: for tests of what is told of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch

from raygp.record import Compared, CostLedger, DriftPart, DriftRecord, EpochRecord, PhaseRecord
from raygp.sparse import Masks, pack_model
from raygp.store import (
    ArrivalWriter,
    Card,
    Head,
    Location,
    Manifest,
    Refusal,
    create_line,
    promote,
    rollback,
    write_refusal,
    write_version,
)
from raygp.tasks import make_task
from tests.digits import FewDigits

TASK = {"name": "lenet-300-100"}
EVIL = "<script>alert(1)</script>"
"""The name of a class, and part of the names of samples."""
KEY = '"><img src=x onerror=alert(1)>.png'
CLASSES = ["0", "1", EVIL]
REASON = "rejected: class 1 lost <b>20.00 points</b> & more"
PHASES = ("grow-all", "prune-permanent")


@cache
def digits() -> list[bytes]:
    """Encoded."""
    return [sample.load() for sample in FewDigits(0, 1100).samples()]


def publish(location: Location, name: str, number: int, classes: Sequence[str] = CLASSES) -> Manifest:
    """An arrival of real digits: four training rows and six validation rows."""
    with ArrivalWriter(location, name, f"folder {EVIL}") as writer:
        for row, sample in enumerate(digits()[10 * number : 10 * number + 10]):
            label = classes[row % len(classes)]
            writer.add("train" if row < 4 else "val", sample, label, f"{row}{KEY}")
        return writer.publish()


@cache
def tensors(classes: int, seed: int, density: float = 0.1) -> dict[str, torch.Tensor]:
    """A whole model of the line's task as a version stores it; another seed has other masks."""
    task = make_task(TASK)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = task.build_model(classes)
        masks = Masks(model, task.dense)
        for layer in masks.layers:
            at = (torch.arange(masks.mask(layer).numel()) * 7 + seed) % 10 >= round(10 * density)
            masks.update(layer, off=at.reshape(masks.mask(layer).shape))
        masks.apply()
    return pack_model(model, masks)


def history(layers: Sequence[str], number: int) -> list[PhaseRecord]:
    """Two phases of three epochs."""
    found = []
    for phase, kind in enumerate(PHASES):
        epochs = [
            EpochRecord(
                round=0, loss=1.0 / (1 + epoch + 3 * phase), val_accuracy=0.5 + 0.07 * (epoch + 3 * phase),
                densities={name: 0.3 - 0.1 * phase - 0.01 * epoch for name in layers}, grown=50 * (1 - phase),
                pruned=40 * phase, examples=100.0 * (1 + epoch + 3 * phase), seconds=0.5 * (1 + epoch + 3 * phase),
            )
            for epoch in range(3)
        ]  # fmt: skip
        record = PhaseRecord(kind=kind, epochs=3, grown=150 * (1 - phase), pruned=120 * phase, history=epochs)
        found.append(record.model_copy(update={"density_after": 0.1, "val_accuracy": epochs[-1].val_accuracy}))
    return found


def accuracy(arrival: int, version: int) -> float:
    """Made up, and another for each pair."""
    return round(0.8 + 0.1 * math.sin(arrival + 1) + 0.005 * (version - arrival) / (1 + version), 6)


def card(location: Location, manifests: Sequence[Manifest], number: int, parent: Card | None, **more: Any) -> Card:
    """The card of a version that folds the last of the manifests in."""
    names = [manifest.arrival for manifest in manifests]
    classes = CLASSES if number >= 2 else CLASSES[:2]
    rows = 6

    def compared(arrival: int) -> Compared:
        before = None if parent is None else accuracy(arrival, number) - 0.02
        return Compared(rows=rows, accuracy=accuracy(arrival, number), parent_accuracy=before)

    layers = {"fc1.weight": 0.1, "fc2.weight": 0.1, "classifier.weight": 0.1}
    values: dict[str, Any] = {
        "version": f"v{number:04d}", "parent": parent.version if parent else None, "update": f"u{number}",
        "created": f"2026-0{1 + number // 28 % 9}-{1 + number % 28:02d}T10:00:00+00:00", "arrivals": names,
        "arrival": names[-1], "classes": classes, "task": TASK, "plan": {"name": "default", "phases": []}, "seed": 0,
        "workers": 1, "density": 0.1, "active_connections": 26_500 + number,
        "total_connections": 784 * 300 + 300 * 100 + 100 * len(classes), "densities": layers, "mask_digest": "00ff",
        "val_accuracy": accuracy(0, number), "test_accuracy": 0.7, "test_metrics": {"accuracy": 0.7},
        "parent_val_accuracy": accuracy(0, number) - 0.02 if parent else None, "val_noise": 0.01,
        "by_arrival": {name: compared(at) for at, name in enumerate(names)},
        "by_class": {name: compared(at) for at, name in enumerate(classes)},
        "ledger": CostLedger(examples=1000.0 + number, sparse_flops=1e9, dense_flops=1e10, worker_seconds=3.0),
        "phases": history(list(layers), number), "manifests": {one.arrival: one.digest for one in manifests},
    }  # fmt: skip
    return Card(**(values | more))


def drift(parent: str, arrival: str) -> DriftRecord:
    """An arrival that differs in one way."""
    part = DriftPart(effect=0.4, p=0.001, level="moderate", tested=100, found=12)
    return DriftRecord(parent=parent, arrivals=[arrival], rows=4, seen_rows=6, features=part)


def sweep() -> dict[str, Any]:
    """Four trials: two on the front, one that failed."""
    trials = [
        {
            "name": f"trial_{n:05d}", "point": {"alpha": 0.1 * n}, "state": "finished" if n < 3 else "failed",
            "epochs": 3, "val_accuracy": 0.8 + 0.01 * n, "active_connections": 20_000 + 3_000 * n if n < 3 else None,
            "ledger": {"examples": 500.0}, "error": "" if n < 3 else EVIL,
        }
        for n in range(4)
    ]  # fmt: skip
    front = ["trial_00000", "trial_00002"]
    return {"trials": trials, "winner": "trial_00002", "why": "most accurate", "front": front, "objective": "accuracy"}


def write_line(location: Location, versions: int, folder: str = "day") -> tuple[Head, list[Card]]:
    """A line of so many versions, each of which folds in one arrival; the third brings a class with a wicked name."""
    create_line(location, TASK)
    manifests: list[Manifest] = []
    head: Head | None = None
    cards: list[Card] = []
    for number in range(versions):
        name = f"{folder}-{number:03d}"
        manifests.append(publish(location, name, number, CLASSES if number >= 2 else CLASSES[:2]))
        parent = cards[-1] if cards else None
        more: dict[str, Any] = {}
        if parent is not None and number % 3 == 2:
            more = {"drift": drift(parent.version, name), "sweep": sweep()}
        made = card(location, manifests, number, parent, **more)
        cards.append(write_version(location, made, tensors(len(made.classes), number // 2 % 5)))
        head = promote(location, cards[-1], head)
    assert head is not None
    return head, cards


def eventful(location: Location) -> None:
    """Five versions, the last of which was rolled back; an arrival that was refused; one that is half done."""
    head, cards = write_line(location, 5)
    rollback(location, cards[3].version, head)
    publish(location, "late", 7)
    ledger = CostLedger(examples=77.0, sparse_flops=1e8, dense_flops=1e9, worker_seconds=1.0)
    refusal = Refusal(reason=REASON, val_accuracy=0.4, ledger=ledger)
    write_refusal(location, "updates/v0005-late-0123abcd", refusal)
    location.write_bytes("updates/v0005-late-aaaa0000/checkpoint_1/state.json", b"{}")
