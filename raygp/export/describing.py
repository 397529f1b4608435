"""``raygp.json``: everything that is known of an exported version, for programs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from raygp import __version__
from raygp.export.request import ExportRequest
from raygp.export.whole import Subject
from raygp.store import Card, Location, Manifest
from raygp.tasks.numbers import NumberTask
from raygp.tasks.preprocessing import Described
from raygp.tasks.protocol import Task

FORMAT = 1
"""Of ``raygp.json``."""


def preprocessing_of(task: Task) -> dict[str, Any]:
    """How a file becomes the model's input: what the task says of it, or that it says nothing."""
    if isinstance(task, Described) and not _is_overridden(type(task)):
        return task.preprocessing()
    return {"kind": "raygp", "order": f"raygp's task {task.name} decodes files; predict.py asks it to"}


def _is_overridden(kind: type) -> bool:
    """Whether a subclass decodes in its own way and says nothing of it."""
    order = kind.__mro__
    first = {
        name: next(at for at, base in enumerate(order) if name in vars(base)) for name in ("decode", "preprocessing")
    }
    return first["decode"] < first["preprocessing"]


def describe(
    location: Location,
    subject: Subject,
    manifests: Sequence[Manifest],
    request: ExportRequest,
    model: Mapping[str, Any],
) -> dict[str, Any]:
    """The content of ``raygp.json``, without what is measured of the files.

    Args:
        location: root of the line.
        subject: the version.
        manifests: of the arrivals that it has seen, those that are still there.
        request: what was asked for.
        model: what the format says of the file.
    """
    card, task = subject.card, subject.task
    tested = {manifest.arrival: manifest.rows("test") for manifest in manifests if manifest.arrival in card.measured_on}
    test_rows = sum(tested.values()) if len(tested) == len(card.measured_on) else None
    return {
        "format": FORMAT,
        "version": card.version,
        "line": line_name(location),
        "license": request.license,
        "made_by": f"raygp {__version__}",
        "exported": datetime.now(UTC).isoformat(timespec="seconds"),
        "classes": card.classes,
        **_scale(task),
        "model": {**model, "format": request.format, "inputs": _inputs(subject, request), "outputs": _outputs(subject)},
        "preprocessing": preprocessing_of(task),
        "task": task.spec.model_dump(mode="json"),
        "metrics": metrics_of(card, task, test_rows),
        "density": card.density,
        "connections": {"active": card.active_connections, "total": card.total_connections},
        "lineage": _lineage(card, manifests),
        "cost": card.ledger.to_dict(),
    }


def _scale(task: Task) -> dict[str, Any]:
    """What a model's number is multiplied by, and what is added to it then."""
    return {"labels": dict(zip(("mean", "deviation"), task.scale, strict=True))} if isinstance(task, NumberTask) else {}


def line_name(location: Location) -> str:
    """The last part of a line's root."""
    return location.root.rstrip("/").rpartition("/")[2] or "line"


def metrics_of(card: Card, task: Task, test_rows: int | None) -> dict[str, Any]:
    """What was measured of a version, as fractions.

    Args:
        card: of the version.
        task: of the line.
        test_rows: of the arrivals that it was measured on; None: not all of them are known.
    """

    def parts(compared: Mapping[str, Any]) -> dict[str, Any]:
        return {name: {"rows": part.rows, "accuracy": part.accuracy} for name, part in compared.items()}

    return {
        "name": task.metrics[0],
        "validation": {"rows": card.val_rows, task.metrics[0]: card.val_accuracy},
        "test": dict(card.test_metrics),
        "test_rows": test_rows,
        **({"divided_by": _deviation(task)} if task.metrics[0] == "R2" else {}),
        "by_arrival": parts(card.by_arrival),
        "by_class": parts(card.by_class),
    }


def _deviation(task: Task) -> dict[str, Any]:
    """What an R2 is measured against."""
    scale = getattr(task, "scale", None)
    what = "deviation of the first arrival's training labels, squared"
    return {"what": what, **({"deviation": scale[1]} if scale else {})}


def files_of(folder: Path) -> dict[str, Any]:
    """Size and SHA-256 of the files of a folder, but for ``raygp.json``, which holds them."""
    found = {}
    for name in sorted({path.name for path in folder.iterdir()} - {"raygp.json"}):
        with (folder / name).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found[name] = {"bytes": (folder / name).stat().st_size, "sha256": digest}
    return found


def _lineage(card: Card, manifests: Sequence[Manifest]) -> dict[str, Any]:
    known = {manifest.arrival: manifest for manifest in manifests}
    arrivals = []
    for name in card.arrivals:
        entry: dict[str, Any] = {"arrival": name, "manifest_sha256": card.manifests.get(name)}
        if name in known:
            splits = sorted({shard.split for shard in known[name].shards})
            rows = {split: known[name].rows(split) for split in splits}
            entry |= {"published": known[name].published, "source": known[name].source, "rows": rows}
        arrivals.append(entry)
    return {
        "version": card.version,
        "parent": card.parent,
        "update": card.update,
        "created": card.created,
        "seed": card.seed,
        "arrivals": arrivals,
        "plan": card.plan,
        "weights_sha256": {file.file: file.sha256 for file in card.files},
        **({"adopted_from": card.origin.model_dump(mode="json")} if card.origin else {}),
    }


def _inputs(subject: Subject, request: ExportRequest) -> list[dict[str, Any]]:
    arrays, (names, _) = subject.batch(subject.examples[:1]), subject.names
    if request.format in ("safetensors", "state-dict"):
        what = "decoded samples, before normalisation: predict.py normalises them, then calls the model"
    else:
        what = "decoded samples; normalisation is part of the model"
    found = []
    for name, array in zip(names, arrays, strict=True):
        shape: list[Any] = list(array.shape)
        for axis, size in subject.dynamic[name].items():
            shape[axis] = size
        meaning = what if name == "inputs" else "of each sequence; what is behind its end is padding"
        found.append({"name": name, "dtype": str(array.dtype), "shape": shape, "meaning": meaning})
    return found


def _outputs(subject: Subject) -> list[dict[str, Any]]:
    arrays, task = subject.run(subject.batch(subject.examples[:1])), subject.task
    if task.sequences:
        meaning = "logits of each frame; output 0 is CTC's blank, output i + 1 is symbol i of classes"
    elif task.labels_are_classes:
        meaning = "logits; their softmax is the probability of each of classes, in order"
    else:
        meaning = "the value"
    shapes: list[list[Any]] = [["batch", *array.shape[1:]] for array in arrays]
    if task.sequences:
        shapes[0][1] = "frames"
    meanings = (meaning, "frames of each sequence")
    return [
        {"name": name, "dtype": str(array.dtype), "shape": shape, "meaning": words}
        for name, array, shape, words in zip(subject.names[1], arrays, shapes, meanings, strict=False)
    ]
