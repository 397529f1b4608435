"""The data of a workload: a source decoded once, with one fixed validation draw and a seeded draw of what is new."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from raygp.data.resident import Examples, ResidentData
from raygp.data.sources import SourceSample, open_source
from raygp.errors import InputError
from raygp.tasks import make_task
from raygp.tasks.protocol import Task

TASKS: dict[str, dict[str, Any]] = {
    "lenet-300-100": {"name": "lenet-300-100"},
    "lenet-5": {"name": "lenet-5"},
    "resnet18": {"name": "resnet18-small", "image_size": 64, "augment": "shift-flip"},
    "deepspeech2": {"name": "deepspeech2-small"},
}
TITLES = {
    "lenet-300-100": "LeNet-300-100", "lenet-5": "LeNet-5", "resnet18": "ResNet-18", "deepspeech2": "DeepSpeech2",
}  # fmt: skip
PAPER_SIZE: dict[str, dict[str, Any]] = {
    "resnet18": {"name": "resnet18", "image_size": 224, "augment": "resized-crop"},
    "deepspeech2": {"name": "deepspeech2", "mels": 80},
}
_VAL_SEED, _TEST_SEED, _VAL_SHARE, _TEST_SHARE = 12345, 54321, 1 / 6, 1 / 6


@dataclass(frozen=True)
class Rows:
    """Row numbers of the training set, each sorted or in the order of the draw."""

    old: np.ndarray
    new: np.ndarray
    val: np.ndarray


@dataclass(frozen=True)
class Workload:
    """A task with all of its data in memory."""

    name: str
    task: Task
    classes: tuple[str, ...]
    """Vocabulary: classes, or characters."""
    train: Examples
    test: Examples
    samples: tuple[SourceSample, ...]
    """Encoded samples: of train in the order of its rows, then of test."""

    def without_test(self) -> Workload:
        """The same without its test split, for whoever must not look at it."""
        return replace(self, test=self.test.take(np.array([], dtype=np.int64)))

    def split(self, new_share: float, seed: int) -> Rows:
        """Validation rows (the same for every seed), and old and new ones by a draw stratified over classes."""
        labels = strata(self.task, [sample.label for sample in self.samples[: len(self.train)]])
        rest, val = _divide(np.arange(len(labels)), labels, _VAL_SHARE, _VAL_SEED)
        old, new = _divide(rest, labels, new_share, seed)
        return Rows(old, new, val)

    def data(self, old: np.ndarray, new: np.ndarray, val: np.ndarray) -> ResidentData:
        """The data of one update: ids are positions in ``old`` and then ``new``."""
        held_out = {"val": self.train.take(val), "test": self.test}
        return ResidentData(self.train.take(np.concatenate([old, new])), len(old), held_out)


def load_workload(name: str, source: str, *, paper_size: bool = False, task: dict[str, Any] | None = None) -> Workload:
    """Decode a source.

    Args:
        name: key of :data:`TASKS`.
        source: as ``raygp ingest --source`` takes it. Samples without a test split lose a sixth of each class to one.
        paper_size: the paper's model instead of the small preset.
        task: fields that replace the workload's.

    Raises:
        InputError: the workload is unknown, or the source cannot be read; the message says what.
    """
    if name not in TASKS:
        raise InputError(f"unknown workload '{name}'; known are {', '.join(TASKS)}")
    made = make_task((PAPER_SIZE.get(name, TASKS[name]) if paper_size else TASKS[name]) | (task or {}))
    opened = open_source(source)
    samples = list(opened.samples())
    symbols = set().union(*(made.symbols(sample.label) for sample in samples))
    classes = (*made.reserved, *sorted(symbols - set(made.reserved)))
    if not any(sample.split == "test" for sample in samples):
        labels = strata(made, [sample.label for sample in samples])
        rest, test = _divide(np.arange(len(samples)), labels, _TEST_SHARE, _TEST_SEED)
        parts = [samples[row] for row in rest], [samples[row] for row in test]
    else:
        parts = [s for s in samples if s.split != "test"], [s for s in samples if s.split == "test"]
    train, test_examples = (decode(made, classes, chosen) for chosen in parts)
    return Workload(name, made, classes, train, test_examples, (*parts[0], *parts[1]))


def decode(task: Task, classes: tuple[str, ...], samples: list[SourceSample]) -> Examples:
    """Samples as a task's examples; positions in ``classes`` are ids."""
    ids = {symbol: number for number, symbol in enumerate(classes)}
    inputs = [task.decode(sample.load()) for sample in samples]
    return Examples.of(inputs, [task.target(sample.label, ids) for sample in samples], task.sequences)


def strata(task: Task, labels: list[str]) -> np.ndarray:
    """A number for each sample: its class, or 0 where labels are texts."""
    if not task.labels_are_classes:
        return np.zeros(len(labels), dtype=np.int64)
    return np.unique(labels, return_inverse=True)[1]


def draw(rows: np.ndarray, labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """A part of ``rows``, sorted, with as many of each class (``labels``, of all rows) as its share asks for."""
    generator = np.random.default_rng(seed)
    drawn = []
    for label in np.unique(labels[rows]):
        members = generator.permutation(rows[labels[rows] == label])
        drawn.append(members[: round(share * len(members))])
    return np.sort(np.concatenate(drawn))


def _divide(rows: np.ndarray, labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What is left of ``rows``, and what :func:`draw` takes of them."""
    chosen = draw(rows, labels, share, seed)
    return np.setdiff1d(rows, chosen), chosen
