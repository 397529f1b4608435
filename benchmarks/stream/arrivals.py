"""The stream: one data set in arrivals of two classes each, and the network that all methods train."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.cost.workloads import load_workload
from raygp.data.resident import Examples
from raygp.errors import InputError
from raygp.tasks import TASKS, ImageSpec, ImageTask, TaskKind

Told = Callable[[int, dict[str, list[float]]], None]
"""Called after each arrival with its number and the accuracies by split and class."""
CLASSES_EACH = 2
"""Classes of an arrival."""
_TASK: dict[str, Any] = {"name": "mlp-100-100", "image_size": 28, "channels": 1}
_VAL_SHARE, _VAL_SEED = 1 / 12, 12345
_PIXELS, _HIDDEN = 28 * 28, 100


def build(channels: int, classes: int) -> nn.Module:
    """Two hidden layers of 100 units: N x 1 x 28 x 28 to N x classes."""
    return nn.Sequential(
        OrderedDict(
            flatten=nn.Flatten(),
            fc1=nn.Linear(channels * _PIXELS, _HIDDEN),
            relu1=nn.ReLU(),
            fc2=nn.Linear(_HIDDEN, _HIDDEN),
            relu2=nn.ReLU(),
            classifier=nn.Linear(_HIDDEN, classes),
        )
    )


def _make(spec: ImageSpec) -> ImageTask:
    return ImageTask(spec, build, classifier="classifier", density_bounds={"classifier.weight": (0.3, 1.0)})


def register_task() -> None:
    """Make the task of this benchmark known for the time of this process."""
    TASKS.forget(_TASK["name"])
    TASKS.register(_TASK["name"], TaskKind(ImageSpec, _make, settings={"lr": 0.1, "clip_norm": 1.0}))


@dataclass(frozen=True)
class Stream:
    """Arrivals of two classes each, with what is held out of all of them."""

    task: ImageTask
    classes: tuple[str, ...]
    train: Examples
    arrivals: tuple[np.ndarray, ...]
    """Rows of ``train`` by arrival, class by class; ids of classes are in the order in which they arrive."""
    held_out: Mapping[str, Examples]
    """``val``, a twelfth of each class's training rows, which no method trains on; ``test``, unless left out."""

    @property
    def rows(self) -> int:
        """Training rows of all arrivals."""
        return sum(map(len, self.arrivals))

    def up_to(self, arrival: int) -> np.ndarray:
        """Training rows of the arrivals up to this one."""
        return np.concatenate(self.arrivals[: arrival + 1])

    def known(self, arrival: int) -> int:
        """Number of classes after this arrival."""
        return CLASSES_EACH * (arrival + 1)

    def seen(self, split: str, arrival: int) -> Examples:
        """The held-out rows whose classes have arrived by then."""
        examples = self.held_out[split]
        return examples.take(np.flatnonzero(labels_of(examples) < self.known(arrival)))

    def tensors(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        """What a network takes of some training rows (float32, N x 1 x 28 x 28), and their classes (int64, N)."""
        chosen = self.train.take(rows)
        assert isinstance(chosen.inputs, Tensor) and isinstance(chosen.targets, Tensor)
        return self.task.prepare(chosen.inputs, None), chosen.targets

    @torch.no_grad()
    def accuracies(self, model: nn.Module, arrival: int) -> dict[str, list[float]]:
        """By split, the accuracy of each class that has arrived, measured among all classes that have."""
        model.eval()
        found = {}
        for split in self.held_out:
            examples = self.seen(split, arrival)
            assert isinstance(examples.inputs, Tensor)
            labels = labels_of(examples)
            outputs = model(self.task.prepare(examples.inputs, None))[:, : self.known(arrival)]
            right = outputs.argmax(dim=1).numpy() == labels
            found[split] = [float(right[labels == label].mean()) for label in range(self.known(arrival))]
        return found

    def mean_accuracy(self, split: str, by_class: list[float]) -> float:
        """Accuracy over the rows of the classes given."""
        counts = np.bincount(labels_of(self.held_out[split]), minlength=len(self.classes))[: len(by_class)]
        return float((counts * np.array(by_class)).sum() / counts.sum())


def load_stream(source: str, *, test: bool = True) -> Stream:
    """Decode a source and deal it out.

    Args:
        source: as ``raygp ingest --source`` takes it: images of an even number of classes.
        test: False leaves the test split out, for whoever must not look at it.

    Raises:
        InputError: the source cannot be read, or its classes do not fill arrivals; the message says what.
    """
    register_task()
    workload = load_workload("lenet-300-100", source, task=_TASK)
    classes = workload.classes
    if len(classes) < 2 * CLASSES_EACH or len(classes) % CLASSES_EACH:
        raise InputError(
            f"{source} has {len(classes)} classes: arrivals of {CLASSES_EACH} classes need an even number, 4 or more"
        )
    labels = labels_of(workload.train)
    generator = np.random.default_rng(_VAL_SEED)
    kept, val = [], []
    for label in range(len(classes)):
        members = generator.permutation(np.flatnonzero(labels == label))
        cut = round(_VAL_SHARE * len(members))
        val.append(members[:cut])
        kept.append(np.sort(members[cut:]))
    arrivals = tuple(np.concatenate(kept[at : at + CLASSES_EACH]) for at in range(0, len(classes), CLASSES_EACH))
    held_out = {"val": workload.train.take(np.sort(np.concatenate(val)))}
    if test:
        held_out["test"] = workload.test
    task = workload.task
    assert isinstance(task, ImageTask)
    return Stream(task, classes, workload.train, arrivals, held_out)


def labels_of(examples: Examples) -> np.ndarray:
    """Class ids, int64."""
    assert isinstance(examples.targets, Tensor)
    return examples.targets.numpy()


def forgetting(after: list[list[float]]) -> float:
    """Mean over classes of the best accuracy ever less the final one.

    Args:
        after: by arrival, the accuracy of each class that had arrived.
    """
    classes = len(after[-1])
    best = [max(step[label] for step in after if label < len(step)) for label in range(classes)]
    return float(np.mean([best[label] - after[-1][label] for label in range(classes)]))
